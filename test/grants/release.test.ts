import { sql, type Transaction } from 'kysely';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DB } from '../../src/db/schema.ts';
import { fileGrant, listDueGrants } from '../../src/grants/grant-repository.ts';
import { grantNotRevokedSentence, type Released, releaseGrant } from '../../src/grants/release.ts';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { createGate, tokens } from './scripted-zoom.ts';
import { adminClient, advanceClock, api, fileOne, grantRow, outcomes, playGrants, soon, testVault } from './setting.ts';

const database = useDatabase();
const organizationId = crypto.randomUUID();
const hour = 3600_000;

beforeEach(async () => {
  await sql`delete from steward.client_states`.execute(database.db);
  await sql`delete from steward.candidates`.execute(database.db);
});

const release = (grantId: string): Promise<Released> =>
  database.db
    .transaction()
    .execute((trx) => releaseGrant(trx, { grantId, organizationId, actor: 'schedule', reason: 'disconnected' }));

const connect = async (state: string, grantId: string | null, account: string | null = null): Promise<string> => {
  const id = crypto.randomUUID();
  await sql`insert into steward.org_connections (id, organization_id, state, grant_id, zoom_account_id)
            values (${id}, gen_random_uuid(), ${state}, ${grantId}, ${account})`.execute(database.db);
  return id;
};

const told = (grantId: string) =>
  database.db
    .selectFrom('steward.events')
    .select(['type', 'organization_id', 'data'])
    .where('subject_id', '=', grantId)
    .execute();

const noSecrets = { sealed_access: null, sealed_refresh: null, key_id: null };

describe('releasing a grant', () => {
  test('alone on its account: retires, is revoked with its access token, then its secrets are deleted', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    expect(await release(grantId)).toBe('retiring');
    expect(await listDueGrants(database.db, 1000)).toContainEqual({ id: grantId, work: 'retire' });
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason: 'retiring' });
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(zoom.revoked).toEqual([`access-${family}-0`]);
    expect(await grantRow(database.db, grantId)).toMatchObject({
      state: 'gone',
      revoke_outcome: 'revoked',
      ...noSecrets,
    });
    expect(await told(grantId)).toEqual([]);
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: null });
    expect(await release(grantId)).toBe('deleted');
    expect(zoom.revoked).toHaveLength(1);
  });

  test('with an access token that has ended it is refreshed once, then revoked', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    await release(grantId);
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(zoom.revoked).toEqual([`access-${family}-1`]);
    expect(await outcomes(database.db, grantId)).toEqual(['rotated']);
  });

  test('a connection still uses it: nothing happens', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    await connect('interrupted', grantId);
    expect(await release(grantId)).toBe('in_use');
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living', version: 1 });
  });

  test.each<[string, (account: string) => Promise<unknown>]>([
    ['another living grant', (account) => fileOne(database.db, { account, fresh: true })],
    ['another connection', (account) => connect('active', null, account)],
    ['an interrupted connection', (account) => connect('interrupted', null, account)],
    [
      'a candidate with its grant',
      async (account) => {
        const other = await fileOne(database.db, { account, fresh: true });
        const connectionId = await connect('pending', null);
        await sql`insert into steward.candidates (id, connection_id, grant_id, state, expires_at, created_at)
                  values (gen_random_uuid(), ${connectionId}, ${other.grantId}, 'verifying', steward.now() + interval '1 day', steward.now())`.execute(
          database.db,
        );
      },
    ],
  ])('%s lives on the account: secrets are deleted, nothing is called', async (_name, live) => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { zoom_account_id: account } = await grantRow(database.db, grantId);
    await live(account);
    const { grants, zoom } = playGrants(database.db);
    expect(await release(grantId)).toBe('deleted');
    expect(await grantRow(database.db, grantId)).toMatchObject({
      state: 'gone',
      revoke_outcome: 'not_revoked: account in use',
      ...noSecrets,
    });
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: null });
    expect(zoom.revoked).toEqual([]);
  });

  test('the account comes into use while the grant retires: not revoked any more', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    await release(grantId);
    await fileOne(database.db, { account: (await grantRow(database.db, grantId)).zoom_account_id, fresh: true });
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'not_revoked: account in use' });
    expect(zoom.revoked).toEqual([]);
  });

  test('the account comes into use while a token for revoking is fetched: not revoked', async () => {
    const { grantId } = await fileOne(database.db);
    const { zoom_account_id: account } = await grantRow(database.db, grantId);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(async (_sent, rotate) => {
      await fileOne(database.db, { account, fresh: true });
      return rotate();
    });
    await release(grantId);
    await grants.retire(grantId);
    expect(zoom.revoked).toEqual([]);
    expect(await grantRow(database.db, grantId)).toMatchObject({
      state: 'gone',
      revoke_outcome: 'not_revoked: account in use',
    });
  });

  test('dead grants and personal ones of the other client id do not count', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { zoom_account_id: account } = await grantRow(database.db, grantId);
    const dead = await fileOne(database.db, { account, fresh: true });
    await sql`update steward.grants set state = 'dead', dead_reason = 'revoked' where id = ${dead.grantId}`.execute(
      database.db,
    );
    await fileOne(database.db, {
      account,
      fresh: true,
      client: { ...adminClient, kind: 'personal', clientId: 'personal_app' },
    });
    expect(await release(grantId)).toBe('retiring');
  });

  test('while Zoom has not said who consented in a candidate, revoking waits', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const connectionId = await connect('pending', null);
    await sql`insert into steward.candidates (id, connection_id, state, expires_at, created_at)
              values (gen_random_uuid(), ${connectionId}, 'unidentified', steward.now() + interval '1 day', steward.now())`.execute(
      database.db,
    );
    const { grants, zoom } = playGrants(database.db);
    expect(await release(grantId)).toBe('retiring');
    expect(await grants.retire(grantId)).toEqual({ kind: 'later', why: 'unidentified candidate' });
    await sql`delete from steward.candidates`.execute(database.db);
    expect(zoom.revoked).toEqual([]);
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
  });

  /** Runs `first` and keeps its transaction open until `second` waits for the account's lock. */
  async function together<T>(
    first: (trx: Transaction<DB>) => Promise<unknown>,
    second: () => Promise<T>,
  ): Promise<{ readonly second: T }> {
    let waiting: Promise<T> | undefined;
    await database.db.transaction().execute(async (trx) => {
      await first(trx);
      waiting = second();
      await soon(async () => {
        const { rows } = await sql`select 1 from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`.execute(trx);
        return rows.length;
      }).toBe(1);
    });
    return { second: (await waiting) as T };
  }

  test('two grants of one account let go at the same time: not both are left unrevoked', async () => {
    const one = await fileOne(database.db, { fresh: true });
    const { zoom_account_id: account } = await grantRow(database.db, one.grantId);
    const two = await fileOne(database.db, { account, fresh: true });
    const request = { grantId: one.grantId, organizationId, actor: 'schedule', reason: 'disconnected' } as const;
    const released = await together(
      async (trx) => expect(await releaseGrant(trx, request)).toBe('deleted'),
      () => release(two.grantId),
    );
    expect(released.second).toBe('retiring');
  });

  test('a consent on the account is being filed: the release waits for it and calls nothing', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { zoom_account_id: zoomAccountId } = await grantRow(database.db, grantId);
    const consent = { client: adminClient, zoomAccountId, zoomUserId: 'somebody', zoomUserEmail: null, api };
    const released = await together(
      (trx) => fileGrant(trx, testVault, { ...consent, tokens: tokens('consent') }),
      () => release(grantId),
    );
    expect(released.second).toBe('deleted');
    expect(await grantRow(database.db, grantId)).toMatchObject({ revoke_outcome: 'not_revoked: account in use' });
  });

  test('a dead grant: secrets go, nothing is called, its name stays', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    await sql`update steward.grants set state = 'dead', dead_reason = 'user_removed' where id = ${grantId}`.execute(
      database.db,
    );
    expect(await release(grantId)).toBe('deleted');
    expect(await grantRow(database.db, grantId)).toMatchObject({
      state: 'dead',
      dead_reason: 'user_removed',
      revoke_outcome: 'already_dead',
      ...noSecrets,
    });
  });

  test.each<['server' | 'unknown' | 'not_sent' | 'application']>([
    ['server'],
    ['unknown'],
    ['not_sent'],
    ['application'],
  ])(
    'an answer of kind %s at the revocation: tried again, for 24 hours, then secrets go and the owner is told',
    async (kind) => {
      const { grantId } = await fileOne(database.db, { fresh: true, tokens: { expiresInS: 24 * 3600 } });
      const { grants, zoom } = playGrants(database.db);
      const answer = {
        server: { kind, status: 503, retryAfterMs: null, detail: '' },
        unknown: { kind, detail: '' },
        not_sent: { kind, detail: '' },
        application: { kind, code: 'invalid_client', detail: '' },
      }[kind];
      for (let n = 0; n < 3; n += 1) zoom.revocations.push(() => answer as never);
      await release(grantId);
      for (let n = 0; n < 3; n += 1) {
        expect(await grants.retire(grantId)).toMatchObject({ kind: 'later' });
        expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'retiring', lease_token: null });
        await advanceClock(database.db, 7 * hour);
      }
      await advanceClock(database.db, 4 * hour);
      expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'grant_not_revoked' });
      expect(zoom.revoked).toHaveLength(3);
      expect(await grantRow(database.db, grantId)).toMatchObject({
        state: 'gone',
        revoke_outcome: 'grant_not_revoked',
        ...noSecrets,
      });
      expect(await told(grantId)).toMatchObject([
        {
          type: 'connection.grant_not_revoked',
          organization_id: organizationId,
          data: { sentence: grantNotRevokedSentence },
        },
      ]);
      const audit = await database.db
        .selectFrom('steward.audit_log')
        .select(['action', 'reason'])
        .where('subject_id', '=', grantId)
        .orderBy('id')
        .execute();
      expect(audit).toEqual([
        { action: 'grant.retiring', reason: 'disconnected' },
        { action: 'grant.released', reason: 'grant_not_revoked' },
      ]);
    },
  );

  test('a revocation that Zoom cannot read is tried again, and stops nobody else', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const other = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.revocations.push(() => ({ kind: 'application', code: 'invalid_request', detail: '' }));
    await release(grantId);
    expect(await grants.retire(grantId)).toEqual({ kind: 'later', why: 'application' });
    expect((await grants.accessToken(other.grantId)).kind).toBe('token');
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
  });

  test('while Zoom refuses our application nothing is revoked, and the breaker is not kept open', async () => {
    const [one, two] = [await fileOne(database.db, { fresh: true }), await fileOne(database.db, { fresh: true })];
    const { grants, zoom } = playGrants(database.db);
    zoom.revocations.push(() => ({ kind: 'application', code: 'invalid_client', detail: '' }));
    await release(one.grantId);
    await release(two.grantId);
    for (const { grantId } of [one, two, one, two])
      expect(await grants.retire(grantId)).toEqual({ kind: 'later', why: 'application' });
    expect(zoom.revoked).toHaveLength(1);
    await advanceClock(database.db, 31_000);
    expect(await grants.retire(two.grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
  });

  test('a process that is paused between the lease and the revocation sends nothing', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    let paused = false;
    const { grants, zoom } = playGrants(database.db, {
      times: { leaseMs: 600, httpMs: 400 },
      onCrashPoint: (point) => {
        if (point !== 'revoke_leased' || paused) return;
        paused = true;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
      },
    });
    await release(grantId);
    expect(await grants.retire(grantId)).toEqual({ kind: 'later', why: 'paused' });
    expect(zoom.revoked).toEqual([]);
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
  });

  test('a refused access token says nothing about the refresh token: refreshed, then revoked', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    zoom.revocations.push(() => ({ kind: 'grant', code: 'invalid_token', detail: '' }));
    await release(grantId);
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(zoom.revoked).toEqual([`access-${family}-0`, `access-${family}-1`]);
  });

  test('already dead at Zoom counts as success, after a second look', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(
      () => ({ kind: 'grant', code: '4735', detail: '' }),
      () => ({ kind: 'grant', code: '4735', detail: '' }),
    );
    await release(grantId);
    expect(await grants.retire(grantId)).toEqual({ kind: 'later', why: 'suspect' });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'retiring' });
    expect(await listDueGrants(database.db, 1000)).not.toContainEqual({ id: grantId, work: 'retire' });
    await advanceClock(database.db, 601_000);
    expect(await listDueGrants(database.db, 1000)).toContainEqual({ id: grantId, work: 'retire' });
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'already_dead' });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'gone', ...noSecrets });
    expect(zoom.revoked).toEqual([]);
  });

  test('a consent while the revocation is on its way keeps its own pair', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true, account: 'again', user: 'again' });
    const { grants, zoom } = playGrants(database.db);
    await release(grantId);
    const filing = createGate<Promise<unknown>>();
    zoom.revocations.push(() => {
      filing.open(
        database.db.transaction().execute((trx) =>
          fileGrant(trx, testVault, {
            client: adminClient,
            zoomAccountId: 'again',
            zoomUserId: 'again',
            zoomUserEmail: null,
            tokens: tokens('consent'),
            api,
          }),
        ),
      );
      return { kind: 'revoked' };
    });
    const oauth = zoom.oauth.revoke;
    zoom.oauth.revoke = async (...sent) => {
      const answer = await oauth(...sent);
      await await filing.opened;
      return answer;
    };
    expect(await grants.retire(grantId)).toEqual({ kind: 'done', outcome: null });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living', version: 2, revoke_outcome: null });
  });

  test('a refresh that hangs over the release cannot bring secrets back', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    const { zoom_account_id: account } = await grantRow(database.db, grantId);
    const answer = createGate();
    zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const waiting = grants.accessToken(grantId);
    await soon(() => zoom.sent.length).toBe(1);
    await fileOne(database.db, { account, fresh: true });
    expect(await release(grantId)).toBe('deleted');
    answer.open();
    expect(await waiting).toEqual({ kind: 'dead', reason: 'gone' });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'gone', ...noSecrets });
  });

  test('two that retire it at once, one of them slow to delete the secrets, revoke it once', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    await release(grantId);
    const concluding = createGate();
    const goesOn = createGate();
    let revoked = false;
    const slow = playGrants(
      interceptTransactions(database.db, {
        before: async () => {
          if (!revoked) return;
          concluding.open();
          await goesOn.opened;
        },
      }),
      {
        onCrashPoint: (point) => {
          revoked ||= point === 'revoke_answered';
        },
      },
    );
    const retiring = slow.grants.retire(grantId);
    await concluding.opened;
    expect(await playGrants(database.db, {}, slow.zoom).grants.retire(grantId)).toEqual({ kind: 'later', why: 'busy' });
    goesOn.open();
    expect(await retiring).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(slow.zoom.revoked).toHaveLength(1);
  });

  test('revoking waits for a refresh that is on its way', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    const other = playGrants(database.db, {}, zoom).grants;
    const answer = createGate();
    zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const waiting = grants.accessToken(grantId);
    await soon(() => zoom.sent.length).toBe(1);
    await release(grantId);
    const retiring = other.retire(grantId);
    await soon(async () => (await grantRow(database.db, grantId)).state).toBe('retiring');
    expect(zoom.revoked).toEqual([]);
    answer.open();
    expect(await retiring).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(await waiting).toMatchObject({ kind: 'dead' });
    expect(zoom.sent).toHaveLength(1);
  });
});
