import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { findWalkFacts, learnLimits } from '../../src/connections/account-limits-repository.ts';
import { listStaleDirectories } from '../../src/connections/due-work.ts';
import { hintZoomAddress, hintZoomUser } from '../../src/connections/hint-zoom-user.ts';
import { lookAtZoomUser } from '../../src/connections/look-at-zoom-user.ts';
import { lookUpAddress } from '../../src/connections/look-up-address.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { useDatabase } from '../support/database.ts';
import { connectActive, owed } from './connecting.ts';
import { advanceClock, insertOrganization } from './organization.ts';
import { createOwedRunner } from './run-owed.ts';
import { failure, playConnections, type ScriptedUser, scriptedVault } from './scripted-zoom.ts';

const database = useDatabase();

async function setting() {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db, { users: 3 });
  const account = `acc-${organization.id}`;
  await connectActive(play, organization, account);
  const run = createOwedRunner(play.deps);
  await run();
  const { zoom } = play.scripted;
  const user = (n: number) => zoom.users.find(({ id }) => id === `${account}-u${n}`) as ScriptedUser;
  const look = (id: string) => lookAtZoomUser(play.deps, { zoomAccountId: account, zoomUserId: id });
  const walk = () => syncDirectory(play.deps, account, { paceMs: 0, sliceMs: 60_000 });
  const copy = async () => {
    const { rows } = await sql<{ key: string; address: string; status: string; type: number; duplicate: boolean }>`
      select user_key as key, address_key as address, status, user_type as type, duplicate from steward.directory_users
       where zoom_account_id = ${account} order by user_key`.execute(db);
    return rows;
  };
  const of = async (key: string) => (await copy()).find((row) => row.key === key);
  const hosting = async (n: number) => {
    const { rows } = await sql<{ hosting: string }>`
      select hosting from steward.member_connections where member_id = ${organization.people[n]!.id}`.execute(db);
    return rows[0]?.hosting;
  };
  const hintUser = (zoomUserId: string) =>
    db.transaction().execute((trx) => hintZoomUser(trx, { zoomAccountId: account, zoomUserId }));
  const hintAddress = (address: string) =>
    db.transaction().execute((trx) => hintZoomAddress(trx, { zoomAccountId: account, address }));
  const isDue = async () => (await listStaleDirectories(db)).includes(account);
  return {
    db,
    play,
    ...play,
    organization,
    account,
    run,
    zoom,
    user,
    look,
    walk,
    copy,
    of,
    hosting,
    hintUser,
    hintAddress,
    isDue,
  };
}

describe('a look at one Zoom user', () => {
  it('writes what Zoom says now, and the members concerned follow', async () => {
    const { user, look, run, hosting, of } = await setting();
    expect(await hosting(0)).toBe('can_host');
    user(0).status = 'inactive';
    expect(await look(user(0).id)).toEqual({ state: 'found' });
    await run();
    expect(await hosting(0)).toBe('zoom_user_inactive');
    user(0).status = 'active';
    user(0).type = 99;
    await look(user(0).id);
    await run();
    expect([(await of(user(0).id))?.type, await hosting(0)]).toEqual([99, 'no_meeting_licence']);
  });

  it('takes a user who is gone out of the copy, and puts a new one in', async () => {
    const { zoom, user, look, run, hosting, of, account } = await setting();
    const { id, email } = user(1);
    zoom.users.splice(zoom.users.indexOf(user(1)), 1);
    expect(await look(id)).toEqual({ state: 'none' });
    await run();
    expect([await of(id), await hosting(1)]).toEqual([undefined, 'no_zoom_user']);
    zoom.users.push({ id: 'zu-again', email, account });
    await look('zu-again');
    await run();
    expect(await hosting(1)).toBe('can_host');
  });

  it('moves an address from one to another, and knows when two share it', async () => {
    const { user, look, run, hosting, of } = await setting();
    user(2).email = user(0).email;
    await look(user(2).id);
    expect([(await of(user(0).id))?.duplicate, (await of(user(2).id))?.duplicate]).toEqual([true, true]);
    await run();
    expect(await hosting(2)).toBe('no_zoom_user');
    user(0).email = 'elsewhere@else.example';
    await look(user(0).id);
    expect([(await of(user(0).id))?.duplicate, (await of(user(2).id))?.duplicate]).toEqual([false, false]);
  });

  it('who accepted an invitation replaces the pending one', async () => {
    const { zoom, account, organization, walk, look, copy } = await setting();
    const email = `new@${organization.domain}`;
    const joined: ScriptedUser = { id: 'zu-joined', email, account, status: 'pending' };
    zoom.users.push(joined);
    await walk();
    const [hash] = scriptedVault.pseudonyms(email);
    expect((await copy()).filter(({ address }) => address === hash).map(({ key }) => key)).toEqual([`pending:${hash}`]);
    joined.status = 'active';
    await look('zu-joined');
    expect((await copy()).filter(({ address }) => address === hash).map(({ key }) => key)).toEqual(['zu-joined']);
  });

  it('says nothing when nothing changed, and waits where Zoom says so', async () => {
    const { db, user, look, zoom, run } = await setting();
    await sql`delete from steward.outbox`.execute(db);
    await look(user(0).id);
    expect(await run()).toEqual([]);
    zoom.override['user'] = () => failure('rate_limited', { status: 429, retryAtMs: Date.now() + 60_000 });
    expect(await look(user(0).id)).toMatchObject({ state: 'later', reason: 'rate_limited' });
    delete zoom.override['user'];
    expect(await look(user(0).id)).toMatchObject({ state: 'later', reason: 'blocked' });
  });

  it('that Zoom refuses for want of permission is not repeated: the connection is looked at instead', async () => {
    const { db, user, look, zoom } = await setting();
    await sql`delete from steward.outbox`.execute(db);
    zoom.override['user'] = () => failure('missing_permission', { status: 403 });
    expect(await look(user(0).id)).toEqual({ state: 'not_needed' });
    expect((await owed(db)).map(({ job }) => job)).toEqual(['verify-admin-role']);
    zoom.override['user'] = () => failure('cannot_host', { status: 400, code: 1120 });
    expect(await look(user(0).id)).toEqual({ state: 'not_needed' });
    zoom.override['user'] = () => failure('server', { status: 503 });
    expect(await look(user(0).id)).toMatchObject({ state: 'later' });
  });

  it('comes again, as a joiner does, while a swap holds the account: nobody waits for another one', async () => {
    const { db, play, user, look, of, account, organization, zoom } = await setting();
    user(0).status = 'inactive';
    const { rows } = await sql<{ id: string }>`
      insert into steward_app.members (id, organization_id, name, email, email_verified, role)
      values (gen_random_uuid(), ${organization.id}, 'N', ${`new@${organization.domain}`}, true, 'user') returning id`.execute(
      db,
    );
    const joiner = () => lookUpAddress(play.deps, { zoomAccountId: account, memberId: rows[0]!.id });
    /** holds the account's row, as a swap does, until the answer is called */
    const hold = async () => {
      const over = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      const swap = db.transaction().execute(async (trx) => {
        await sql`select from steward.directories where zoom_account_id = ${account} for update`.execute(trx);
        held.resolve();
        await over.promise;
      });
      await held.promise;
      return () => {
        over.resolve();
        return swap;
      };
    };
    let release = await hold();
    const later = { state: 'later', reason: 'the copy is being written', retryInMs: 5_000 };
    zoom.calls.length = 0;
    expect(await Promise.all([look(user(0).id), joiner()])).toEqual([later, later]);
    expect(zoom.calls).toEqual(['user']);
    // What a refusal says of the limits is not worth the wait of whoever was refused.
    const limit = { label: 'light', per: 'second', limit: 30, remaining: 1 } as const;
    await learnLimits(db, account, { ok: true, limit }, 'light');
    expect((await findWalkFacts(db, account))?.lightPerSecond).toBeNull();
    await release();
    // Nor does a joiner come into the copy beside it who was asked about before it began: it adds whom it has seen.
    zoom.users.push({ id: 'zu-new', email: `new@${organization.domain}`, account });
    zoom.override['user'] = async () => {
      delete zoom.override['user'];
      release = await hold();
      return null;
    };
    expect(await joiner()).toEqual(later);
    await release();
    expect(await of('zu-new')).toBeUndefined();
    expect(await joiner()).toEqual({ state: 'found' });
    expect((await of(user(0).id))?.status).toBe('active');
    expect(await look(user(0).id)).toEqual({ state: 'found' });
    expect((await of(user(0).id))?.status).toBe('inactive');
  });

  it('whose answer is an older answer than the one that is written, writes nothing', async () => {
    const { user, look, of, zoom } = await setting();
    const { id, email, account } = user(0);
    const active = { id, email, type: 2, status: 'active', accountId: account, roleId: '2', roleName: '' };
    let answer: (() => void) | undefined;
    zoom.override['user'] = () => {
      delete zoom.override['user'];
      return new Promise((resolve) => {
        answer = () => resolve({ ok: true, value: { ...active, displayName: null, timeZone: null } });
      });
    };
    const early = look(id);
    await expect.poll(() => answer !== undefined).toBe(true);
    zoom.users.splice(zoom.users.indexOf(user(0)), 1);
    expect(await look(id)).toEqual({ state: 'none' });
    answer?.();
    expect(await early).toEqual({ state: 'not_needed' });
    expect(await of(id)).toBeUndefined();
  });
});

describe('a walk under way', () => {
  it('that had seen them does not bring back users whom a look found gone or changed since', async () => {
    const { zoom, user, look, of, play, account, walk, run } = await setting();
    await advanceClock(database.db, '1 minute');
    const [gone, changed] = [user(0), user(1)];
    let told: (() => Promise<void>) | undefined = async () => {
      zoom.users.splice(zoom.users.indexOf(gone), 1);
      changed.status = 'inactive';
      expect(await look(gone.id)).toEqual({ state: 'none' });
      expect(await look(changed.id)).toEqual({ state: 'found' });
    };
    // Active users were listed; before the inactive ones are, both change.
    zoom.override['users:inactive'] = async () => {
      await told?.();
      told = undefined;
      return { ok: true, value: { users: [], nextPageToken: '', totalRecords: 0 } };
    };
    expect(await syncDirectory(play.deps, account, { paceMs: 0, sliceMs: 60_000 })).toMatchObject({ state: 'done' });
    expect(await of(gone.id)).toBeUndefined();
    expect(await of(changed.id)).toMatchObject({ status: 'inactive' });
    delete zoom.override['users:inactive'];
    await run();
    await advanceClock(database.db, '1 minute');
    expect(await walk()).toMatchObject({ state: 'done', changed: 0 });
  });

  it('that had seen them invited does not take who accepted since for two', async () => {
    const { zoom, account, organization, look, copy, walk } = await setting();
    const email = `new@${organization.domain}`;
    const joined: ScriptedUser = { id: 'zu-joined', email, account, status: 'pending' };
    zoom.users.push(joined);
    const [hash] = scriptedVault.pseudonyms(email);
    const keys = async () => (await copy()).filter(({ address }) => address === hash).map(({ key }) => key);
    zoom.override['users:pending'] = async () => {
      joined.status = 'active';
      expect(await look(joined.id)).toEqual({ state: 'found' });
      const page = { users: [{ id: null, email, type: 2, status: 'pending' }], nextPageToken: '', totalRecords: 1 };
      return { ok: true, value: page };
    };
    await advanceClock(database.db, '1 minute');
    expect(await walk()).toMatchObject({ state: 'done' });
    expect(await keys()).toEqual([joined.id]);
  });
});

describe('hints about users', () => {
  it('a storm becomes one walk that begins after the last of them', async () => {
    const { db, hintUser, isDue, walk } = await setting();
    const said: string[] = [];
    for (let n = 0; n < 70; n += 1) said.push(await hintUser(`zu-${n}`));
    expect(said.filter((one) => one === 'look')).toHaveLength(60);
    expect(said.slice(60)).toEqual(Array(10).fill('walk'));
    // Not while the copy is minutes old: a storm that goes on must not walk all the time.
    expect(await isDue()).toBe(false);
    await advanceClock(db, '11 minutes');
    expect(await isDue()).toBe(true);
    await walk();
    expect(await isDue()).toBe(false);
  });

  it('a walk that began before the last hint does not count', async () => {
    const { db, account, zoom, isDue, walk } = await setting();
    zoom.override['users:pending'] = async () => {
      await sql`update steward.directories set wanted_at = steward.now() where zoom_account_id = ${account}`.execute(
        db,
      );
      return null;
    };
    await advanceClock(db, '1 minute');
    await walk();
    delete zoom.override['users:pending'];
    await advanceClock(db, '11 minutes');
    expect(await isDue()).toBe(true);
  });

  it('without an id look up the members with that address, and keep the address nowhere', async () => {
    const { db, zoom, account, organization, hintAddress, run, hosting, isDue } = await setting();
    const { email } = organization.people[2]!;
    zoom.users.splice(
      zoom.users.findIndex((one) => one.email === email),
      1,
    );
    await lookAway(db, account, email);
    zoom.users.push({ id: 'zu-invited', email, account, status: 'pending' });
    await sql`delete from steward.outbox`.execute(db);
    expect(await hintAddress(email.toUpperCase())).toBe('look');
    const { rows } = await sql<{ text: string }>`
      select coalesce(jsonb_agg(to_jsonb(o)), '[]')::text || coalesce((select jsonb_agg(to_jsonb(h))::text from steward.hints h), '') as text
        from steward.outbox o`.execute(db);
    expect(rows[0]?.text).not.toContain('@');
    await run();
    expect(await hosting(2)).toBe('zoom_user_pending');
    expect(await hintAddress('stranger@else.example')).toBe('unused');
    expect(await hintAddress(email)).toBe('walk');
    await advanceClock(db, '11 minutes');
    expect(await isDue()).toBe(true);
  });

  it('that come during the first walk have it made again', async () => {
    const { db, account, hintUser, hintAddress, isDue, walk } = await setting();
    for (const hint of [() => hintUser('zu-early'), () => hintAddress('stranger@else.example')]) {
      await sql`update steward.directories set synced_at = null, wanted_at = null where zoom_account_id = ${account}`.execute(
        db,
      );
      expect(await hint()).toBe('walk');
      // The walk that was under way when the hint came.
      await sql`update steward.directories set synced_at = steward.now() - interval '11 minutes' where zoom_account_id = ${account}`.execute(
        db,
      );
      expect(await isDue()).toBe(true);
      await advanceClock(db, '1 minute');
      await walk();
      expect(await isDue()).toBe(false);
    }
  });

  it('of an account whose users we do not keep are dropped', async () => {
    const { db } = await setting();
    const user = { zoomAccountId: 'acc-unused', zoomUserId: 'zu' };
    expect(await db.transaction().execute((trx) => hintZoomUser(trx, user))).toBe('unused');
  });
});

/** The copy as if that address had never been there, and had been asked about just now. */
async function lookAway(db: typeof database.db, account: string, email: string): Promise<void> {
  await sql`delete from steward.directory_users where zoom_account_id = ${account} and address_key = steward.address_key(${email})`.execute(
    db,
  );
  await sql`insert into steward.directory_lookups (zoom_account_id, address_key, looked_up_at)
            values (${account}, steward.address_key(${email}), steward.now())`.execute(db);
}
