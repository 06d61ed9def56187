import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { confirmCandidate } from '../../src/connections/confirm-candidate.ts';
import { type GoodWebhook, receiveWebhook } from '../../src/connections/hint-webhook.ts';
import { activatePersonal } from '../../src/connections/personal-connections.ts';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { forgetWebhooks, tellSilentApps } from '../../src/connections/webhook-sources.ts';
import { fileGrant } from '../../src/grants/grant-repository.ts';
import { upkeepTasks } from '../../src/jobs/upkeep/tasks.ts';
import { Secret } from '../../src/secret.ts';
import { zoomEndpoints } from '../../src/zoom/endpoints.ts';
import { readWebhook, webhookId } from '../../src/zoom/webhook-notice.ts';
import { services } from '../jobs/perform-job.ts';
import { useDatabase } from '../support/database.ts';
import { advance, connectActive, consent, owed } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization, stopClock, toldTypes } from './organization.ts';
import { createOwedRunner } from './run-owed.ts';
import { failure, playConnections } from './scripted-zoom.ts';

const database = useDatabase({ max: 20 });
// Looks are counted in seconds: on a busy machine real ones would go by in between.
beforeAll(() => stopClock(database.db));
let told = 0;

/** A webhook as the path hands it over. */
function webhook(body: object, client: 'admin' | 'personal' = 'admin'): GoodWebhook {
  told += 1;
  const bytes = Buffer.from(JSON.stringify({ event_ts: told, ...body }));
  const clientId = `${client}_app`;
  const notice = readWebhook(bytes);
  if (notice?.kind === 'validation') throw new Error('no validation comes here');
  return { id: webhookId(clientId, bytes), clientId, clientKind: client, notice };
}

async function setting() {
  const { db } = database;
  await sql`delete from steward.outbox`.execute(db);
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const account = `acc-${organization.id}`;
  const { connectionId, admin } = await connectActive(play, organization, account);
  const run = createOwedRunner(play.deps);
  await sql`delete from steward.outbox`.execute(db);
  const row = () => connectionRow(db, connectionId);
  const receive = (body: object) => receiveWebhook(db, webhook(body));
  const deauthorized = (more: object = {}) =>
    receive({
      event: 'app_deauthorized',
      payload: { account_id: account, user_id: 'zu', client_id: 'admin_app', ...more },
    });
  const userEvent = (id: string, event = 'user.updated') =>
    receive({ event, payload: { account_id: account, object: { id } } });
  /** Looks at this connection that are owed, and after how many seconds each. */
  const looks = async (subject = connectionId) => {
    const { rows } = await sql<{ s: number }>`
      select extract(epoch from available_at - steward.now())::float8 as s from steward.outbox
       where job = 'verify-admin-role' and key = ${subject} order by id`.execute(db);
    return rows.map(({ s }) => s);
  };
  const audited = async (action: string) =>
    db
      .selectFrom('steward.audit_log')
      .select(['reason', 'data'])
      .where('action', '=', action)
      .where('organization_id', '=', organization.id)
      .orderBy('id')
      .execute();
  return {
    db,
    play,
    ...play,
    organization,
    account,
    connectionId,
    admin,
    run,
    row,
    receive,
    deauthorized,
    userEvent,
    looks,
    audited,
  };
}

describe('a webhook', () => {
  it('of many at once one is new, and owes one look', async () => {
    const { db, account, looks } = await setting();
    const one = webhook({ event: 'account.settings_updated', payload: { account_id: account } });
    const received = await Promise.all(Array.from({ length: 8 }, () => receiveWebhook(db, one)));
    expect(received.sort()).toEqual([...Array(7).fill('repeated'), 'taken']);
    expect(await looks()).toHaveLength(1);
  });

  it('is forgotten after 24 hours; replayed then it costs one look', async () => {
    const { db, account, looks } = await setting();
    const one = webhook({ event: 'account.settings_updated', payload: { account_id: account } });
    await receiveWebhook(db, one);
    await advanceClock(db, '23 hours 59 minutes');
    await forgetWebhooks(db);
    expect(await receiveWebhook(db, one)).toBe('repeated');
    await advanceClock(db, '2 minutes');
    await forgetWebhooks(db);
    await sql`delete from steward.outbox`.execute(db);
    const again = await Promise.all([1, 2, 3].map(() => receiveWebhook(db, one)));
    expect(again.filter((received) => received === 'taken')).toHaveLength(1);
    expect(await looks()).toHaveLength(1);
  });

  it('is dropped where nobody of ours is on the account, or it is about another app', async () => {
    const { db, account, receive, deauthorized } = await setting();
    const settings = { event: 'account.settings_updated', payload: { account_id: 'acc-of-nobody' } };
    expect(await receive(settings)).toBe('dropped');
    expect(await deauthorized({ client_id: 'another_app' })).toBe('dropped');
    expect(await receiveWebhook(db, webhook({ ...settings, payload: { account_id: account } }, 'personal'))).toBe(
      'dropped',
    );
    expect(await owed(db)).toEqual([]);
  });

  it('a hint during the minute owes one look at its end, however many come, and none is lost', async () => {
    const { db, deauthorized, looks } = await setting();
    await deauthorized();
    expect(await looks()).toEqual([0]);
    await advanceClock(db, '20 seconds');
    for (let n = 0; n < 5; n += 1) await deauthorized({ n });
    expect(await looks()).toEqual([-20, 40]);
    // The owed look has begun: what is hinted from now on it may not see.
    await advanceClock(db, '41 seconds');
    await deauthorized({ n: 6 });
    expect((await looks()).at(-1)).toBe(59);
    await advanceClock(db, '10 minutes');
    await deauthorized({ n: 7 });
    expect((await looks()).at(-1)).toBe(0);
  });

  it('about the authorizing user verifies; about another one does not', async () => {
    const { admin, account, userEvent, looks } = await setting();
    await userEvent(`${account}-u0`);
    expect(await looks()).toEqual([]);
    for (const event of ['user.deleted', 'user.deactivated', 'user.disassociated']) await userEvent(admin.id, event);
    expect(await looks()).toEqual([0, 60]);
  });

  it('verifies candidates on the account as well, and tries the grant of those that wait for a person', async () => {
    const { db, play, deps, account, scripted, userEvent, deauthorized, looks, run } = await setting();
    const other = await insertOrganization(db);
    const approver = { id: `zu-${other.id}`, email: 'someone@elsewhere.example', account };
    scripted.zoom.users.push(approver);
    const { candidateId } = await consent(play, other, approver);
    scripted.zoom.override['permissions'] = () => failure('server', { status: 503 });
    expect(await advance(deps, candidateId)).toMatchObject({ state: 'waiting', on: 'zoom' });
    delete scripted.zoom.override['permissions'];
    await sql`delete from steward.outbox`.execute(db);
    await userEvent(approver.id);
    expect(await looks(candidateId)).toEqual([0]);
    await sql`delete from steward.outbox`.execute(db);
    expect(await advance(deps, candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
    // The walk it waited for was taken by hand.
    await sql`delete from steward.outbox`.execute(db);

    scripted.zoom.revokeUser(approver.id);
    await deauthorized();
    await run();
    const grant = () =>
      db
        .selectFrom('steward.candidates as k')
        .innerJoin('steward.grants as g', 'g.id', 'k.grant_id')
        .select(['g.id', 'g.state'])
        .where('k.id', '=', candidateId)
        .executeTakeFirstOrThrow();
    expect((await grant()).state).toBe('suspect');
    await advanceClock(db, '11 minutes');
    await deps.grants.secondLook((await grant()).id);
    const confirm = db
      .transaction()
      .execute((trx) => confirmCandidate(trx, { candidateId, asker: { memberId: other.owner.id } }));
    await expect(confirm).rejects.toMatchObject({ code: 'candidate_lost' });
  });
});

describe('app_deauthorized', () => {
  it('of a grant that lives changes nothing, and is recorded', async () => {
    const { deauthorized, run, row, audited, scripted, organization, db } = await setting();
    scripted.zoom.calls.length = 0;
    expect(await deauthorized()).toBe('taken');
    await run();
    expect(scripted.zoom.calls).toEqual(['me', 'permissions', 'users:active']);
    expect(await row()).toMatchObject({ state: 'active', generation: 2, deauthorized_at: null });
    expect(await audited('connection.app_deauthorized')).toMatchObject([{ data: { echo: false } }]);
    expect((await toldTypes(db, organization.id)).filter((type) => type === 'connection.interrupted')).toEqual([]);
  });

  it('of a dead one interrupts, but not before it was looked at again 15 minutes later', async () => {
    const { db, admin, deauthorized, run, row, scripted } = await setting();
    scripted.zoom.revokeUser(admin.id);
    await deauthorized();
    await run();
    expect((await row()).state).toBe('active');
    for (const minutes of [10.5, 2, 2]) {
      await advanceClock(db, `${minutes} minutes`);
      // The tick would say so: the grant's second look, and the verification that waits for it.
      const { connectionId: id, grantId } = await ids(db, (await row()).id);
      await sql`insert into steward.outbox (job, key, payload, created_at, available_at) values
        ('verify-admin-role', ${grantId}, ${JSON.stringify({ grantId })}::jsonb, steward.now(), steward.now()),
        ('verify-admin-role', ${id}, ${JSON.stringify({ connectionId: id })}::jsonb, steward.now(), steward.now())`.execute(
        db,
      );
      await run();
      expect((await row()).state, `${minutes} minutes later`).toBe('active');
    }
    const grant = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', (await row()).grant_id)
      .executeTakeFirstOrThrow();
    expect(grant.state).toBe('dead');
    // Others that come meanwhile do not put it off.
    await deauthorized({ n: 2 });
    await advanceClock(db, '1 minute');
    await run();
    expect(await row()).toMatchObject({ state: 'interrupted', generation: 3 });
  });

  it('wherever and however its time is given, is taken', async () => {
    const { account, receive, looks } = await setting();
    for (const shape of [{ event_ts: 99 }, {}, { event_ts: 'x' }, { event_ts: undefined }])
      expect(
        await receive({
          ...shape,
          event: 'app_deauthorized',
          payload: { account_id: account, event_ts: String(told) },
        }),
      ).toBe('taken');
    expect(await looks()).toEqual([0, 60]);
  });

  it('that is the echo of our own revocation is named so, before and after its answer', async () => {
    const { db, row, deauthorized, organization, audited, connectionId } = await setting();
    const grantId = (await row()).grant_id;
    await db.transaction().execute((trx) =>
      requestDisconnect(trx, {
        organizationId: organization.id,
        generation: 2,
        typedName: organization.name,
        asker: { memberId: organization.owner.id },
      }),
    );
    await deauthorized();
    await sql`update steward.grants set state = 'retiring', retire_until = steward.now() + interval '1 day' where id = ${grantId}`.execute(
      db,
    );
    await deauthorized({ n: 2 });
    await sql`update steward.grants set state = 'gone', sealed_access = null, sealed_refresh = null, revoke_outcome = 'revoked', revoked_at = steward.now() where id = ${grantId}`.execute(
      db,
    );
    await deauthorized({ n: 3 });
    await advanceClock(db, '4 hours');
    await deauthorized({ n: 4 });
    const echoes = (await audited('connection.app_deauthorized')).map(
      ({ data }) => (data as unknown as { echo: boolean }).echo,
    );
    expect(echoes).toEqual([false, true, true, false]);
    expect(await connectionRow(db, connectionId)).toMatchObject({ state: 'disconnecting', generation: 3 });
  });

  it('after a reconnect, however late, finds the new grant alive and changes nothing', async () => {
    const { db, play, admin, organization, row, deauthorized, run, scripted } = await setting();
    scripted.zoom.revokeUser(admin.id);
    const { candidateId } = await consent(play, organization, admin);
    await advance(play.deps, candidateId);
    const before = await row();
    await sql`update steward.grants set revoked_at = steward.now() where id = ${before.grant_id}`.execute(db);
    for (const wait of ['0 minutes', '80 minutes', '20 minutes']) {
      await advanceClock(db, wait);
      await deauthorized({ wait });
      await run();
      await advanceClock(db, '16 minutes');
      await run();
    }
    const after = await row();
    expect(after).toMatchObject({
      state: 'active',
      generation: before.generation,
      grant_id: before.grant_id,
      first_failed_at: null,
    });
  });
});

/** An organization three of whose members have a Zoom of their own. */
async function personal() {
  const made = await setting();
  const { db, deps, account, organization } = made;
  const members = organization.people.slice(0, 3);
  const grants: string[] = [];
  for (const [n, member] of members.entries()) {
    const tokens = {
      kind: 'tokens',
      accessToken: new Secret(`pa${n}`),
      refreshToken: new Secret(`pr${n}`),
      expiresInS: 3600,
      scopes: null,
      apiUrl: null,
    } as const;
    const filed = await db.transaction().execute((trx) =>
      fileGrant(trx, deps.vault, {
        client: { kind: 'personal', clientId: 'personal_app' },
        zoomAccountId: account,
        zoomUserId: `zp${n}`,
        zoomUserEmail: null,
        tokens,
        api: zoomEndpoints,
      }),
    );
    grants.push(filed.grantId);
    await db
      .transaction()
      .execute((trx) => activatePersonal(trx, { memberId: member.id, grantId: filed.grantId, actor: 'app' }));
  }
  await sql`delete from steward.outbox`.execute(db);
  const tell = (event: string, user: string) =>
    receiveWebhook(
      db,
      webhook(
        event === 'app_deauthorized'
          ? { event, payload: { account_id: account, user_id: user } }
          : { event, payload: { account_id: account, object: { id: user } } },
        'personal',
      ),
    );
  const probed = async () => (await owed(db)).map(({ payload }) => payload);
  return { ...made, grants, tell, probed };
}

async function unused() {
  const made = await personal();
  const { db } = made;
  await sql`update steward.personal_connections set grant_id = null, state = 'disconnected' where grant_id <> all(${made.grants}::uuid[])`.execute(
    db,
  );
  const owedLooks = async () => {
    await sql`delete from steward.installation where key like 'upkeep.%'`.execute(db);
    await upkeepTasks['personal_grants_unused']?.(db, services());
    return (await made.probed()).map((payload) => payload['grantId']);
  };
  return { ...made, owedLooks };
}

describe('webhooks of the personal app', () => {
  it('have that user’s grant tried, and nobody else’s', async () => {
    const { grants, tell, probed } = await personal();
    await tell('user.deactivated', 'zp1');
    await tell('user.updated', 'zp-of-nobody');
    expect(await probed()).toEqual([{ grantId: grants[1], probe: true }]);
    await tell('app_deauthorized', 'zp0');
    expect(await probed()).toEqual([1, 0].map((n) => ({ grantId: grants[n], probe: true })));
  });

  it('have everybody’s tried when the app was taken off somebody we do not know', async () => {
    const { grants, tell, probed } = await personal();
    await tell('app_deauthorized', 'zp-admin');
    expect((await probed()).map((payload) => payload['grantId'])).toEqual([...grants].sort());
  });

  it('find a grant that Zoom ended, by one call', async () => {
    const { db, grants, tell, run, scripted } = await personal();
    await tell('app_deauthorized', 'zp2');
    scripted.zoom.calls.length = 0;
    await run();
    expect(scripted.zoom.calls[0]).toBe('me');
    const { state } = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', grants[2] as string)
      .executeTakeFirstOrThrow();
    expect(state).toBe('suspect');
  });
});

describe('members’ own grants that nobody used', () => {
  it('are tried once in 30 days: the call refreshes one that lives, and finds one that died', async () => {
    const { db, grants, owedLooks, run, scripted } = await unused();
    await advanceClock(db, '29 days 23 hours');
    expect(await owedLooks()).toEqual([]);
    // Somebody used this one meanwhile, and nobody's connection is on that one any more.
    const [used, left, died] = grants as [string, string, string];
    await sql`update steward.grants set refreshed_at = steward.now() where id = ${used}`.execute(db);
    await sql`update steward.personal_connections set state = 'disconnected', grant_id = null where grant_id = ${left}`.execute(
      db,
    );
    scripted.zoom.revokeUser('zp2');
    await advanceClock(db, '1 hour');
    expect(await owedLooks()).toEqual([died]);
    await run();
    const states = await db.selectFrom('steward.grants').select('state').where('id', '=', died).execute();
    expect(states).toEqual([{ state: 'suspect' }]);
    expect(await owedLooks()).toEqual([]);
  });

  it('that live are not tried again the day after', async () => {
    const { db, account, grants, owedLooks, run, scripted } = await unused();
    const [one, ...others] = grants as [string, ...string[]];
    await sql`update steward.grants set refreshed_at = steward.now() + interval '30 days' where id = any(${others}::uuid[])`.execute(
      db,
    );
    await advanceClock(db, '30 days');
    expect(await owedLooks()).toEqual([one]);
    const user = { id: 'zp0', email: 'zp0@own.example', account };
    scripted.zoom.families.push({ user, access: 'pa0', refresh: 'pr0', dead: false });
    scripted.zoom.calls.length = 0;
    await run();
    expect(scripted.zoom.calls).toEqual(['refresh', 'me']);
    await advanceClock(db, '1 day');
    expect(await owedLooks()).toEqual([]);
  });
});

describe('silence', () => {
  it('of an app that used to be heard is told once, and over when it is heard again', async () => {
    const { db, deauthorized } = await setting();
    await sql`delete from steward.webhook_sources`.execute(db);
    const silent = async () =>
      (await sql`select from steward.webhook_sources where silent_told_at is not null`.execute(db)).rows.length;
    await deauthorized({ a: 1 });
    await advanceClock(db, '6 days 23 hours');
    expect(await tellSilentApps(db)).toBe(0);
    await advanceClock(db, '2 hours');
    expect([await tellSilentApps(db), await tellSilentApps(db), await silent()]).toEqual([1, 0, 1]);
    await deauthorized({ a: 2 });
    expect([await tellSilentApps(db), await silent()]).toEqual([0, 0]);
    await advanceClock(db, '8 days');
    expect(await tellSilentApps(db)).toBe(1);
    const entries = await db
      .selectFrom('steward.audit_log')
      .select('data')
      .where('action', '=', 'webhooks.silent')
      .execute();
    expect(entries).toHaveLength(2);
  });
});

async function ids(db: typeof database.db, connectionId: string) {
  const { grant_id: grantId } = await connectionRow(db, connectionId);
  return { connectionId, grantId: grantId as string };
}
