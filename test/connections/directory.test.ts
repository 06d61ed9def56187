import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import type { MediumLimits } from '../../src/connections/account-limits.ts';
import { findWalkFacts, learnLimits, stateLimits } from '../../src/connections/account-limits-repository.ts';
import { deleteUnusedDirectories, listStaleDirectories, wantNewHashes } from '../../src/connections/due-work.ts';
import { lookUpAddress } from '../../src/connections/look-up-address.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { verifyConnection } from '../../src/connections/verify-connection.ts';
import { wantWalk } from '../../src/connections/want-walk.ts';
import { createVault } from '../../src/grants/vault.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { Secret } from '../../src/secret.ts';
import { useDatabase } from '../support/database.ts';
import { connectActive, owed } from './connecting.ts';
import { advanceClock, insertOrganization } from './organization.ts';
import { failure, playConnections, scriptedVault } from './scripted-zoom.ts';

const database = useDatabase();

async function setting({ users = 20 }: { users?: number } = {}) {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db, { users });
  const account = `acc-${organization.id}`;
  const { connectionId } = await connectActive(play, organization, account);
  const sync = (options = {}) =>
    syncDirectory(play.deps, account, { paceMs: 0, sliceMs: 60_000, pageSize: 5, ...options });
  const stored = () =>
    db
      .selectFrom('steward.directory_users')
      .selectAll()
      .where('zoom_account_id', '=', account)
      .orderBy('user_key')
      .execute();
  const pages = () => play.scripted.zoom.calls.filter((call) => call.startsWith('users:'));
  /** Facts as the engine stores them: every member is matched to their Zoom user. */
  const match = () =>
    sql`insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, match, zoom_user_key)
        select m.organization_id, m.id, true, true, false, 'none', steward.address_key(m.email), 'email', d.user_key
          from steward_app.members m join steward.directory_users d
            on d.zoom_account_id = ${account} and d.address_key = steward.address_key(m.email)
         where m.organization_id = ${organization.id}`.execute(db);
  const runs = () =>
    db
      .selectFrom('steward.runs')
      .select('cause')
      .where('connection_id', '=', connectionId)
      .orderBy('created_at')
      .execute();
  play.scripted.zoom.calls.length = 0;
  return { db, play, ...play, organization, account, connectionId, sync, stored, pages, match, runs };
}

describe('a copy that is old', () => {
  it('is due after six hours, not while its calls fail, and again as soon as they work', async () => {
    const { db, account, deps, connectionId, scripted } = await setting();
    const due = async () => (await listStaleDirectories(db)).includes(account);
    expect(await due()).toBe(false);
    await advanceClock(db, '7 hours');
    expect(await due()).toBe(true);
    scripted.zoom.override['users:active'] = () => failure('missing_permission', { status: 403 });
    await verifyConnection(deps, connectionId);
    expect(await due()).toBe(false);
    await advanceClock(db, '10 minutes');
    expect(await verifyConnection(deps, connectionId)).toMatchObject({ outcome: 'interrupted' });
    expect(await due()).toBe(false);
    delete scripted.zoom.override['users:active'];
    await verifyConnection(deps, connectionId);
    expect(await due()).toBe(true);
  });

  it('whose walk was refused is walked again half an hour later, not with every tick', async () => {
    const { db, account, sync, match, scripted } = await setting();
    await match();
    await advanceClock(db, '7 hours');
    scripted.zoom.users.splice(2, 10);
    expect(await sync()).toMatchObject({ state: 'refused' });
    expect(await listStaleDirectories(db)).not.toContain(account);
    await advanceClock(db, '30 minutes');
    expect(await listStaleDirectories(db)).toContain(account);
  });
});

describe('the directory walk', () => {
  it('copies users in three states, page by page, pending ones without id, equal addresses marked', async () => {
    const { sync, stored, scripted, account, pages, organization } = await setting();
    scripted.zoom.users.push(
      { id: 'p', email: ` Pending@${organization.domain.toUpperCase()} `, account, status: 'pending', type: 1 },
      { id: 'off', email: `off@${organization.domain}`, account, status: 'inactive', type: 4 },
      { id: 'twin', email: `USER0@${organization.domain}`, account },
    );
    expect(await sync()).toMatchObject({ state: 'done', users: 24, changed: 4, runs: 1 });
    expect(pages()).toEqual([
      'users:active',
      'users:active',
      'users:active',
      'users:active',
      'users:active',
      'users:inactive',
      'users:pending',
    ]);
    const rows = await stored();
    const [hash] = scriptedVault.pseudonyms(`pending@${organization.domain}`);
    expect(rows.find((row) => row.status === 'pending')).toMatchObject({
      user_key: `pending:${hash}`,
      zoom_user_id: null,
      address_key: hash,
    });
    expect(rows.find((row) => row.user_key === 'off')).toMatchObject({ status: 'inactive', user_type: 4 });
    expect(rows.filter((row) => row.duplicate).map((row) => row.address_key)).toEqual([
      `user0@${organization.domain}`,
      `user0@${organization.domain}`,
    ]);
  });

  it('rewrites only what changed, and starts a run only then', async () => {
    const { sync, scripted, runs, db, account } = await setting();
    const xmin = async () =>
      (
        await sql<{
          key: string;
          xmin: string;
        }>`select user_key as key, xmin::text from steward.directory_users where zoom_account_id = ${account} order by 1`.execute(
          db,
        )
      ).rows;
    await sync();
    const before = await xmin();
    expect(await sync()).toMatchObject({ state: 'done', changed: 0, runs: 0 });
    expect(await xmin()).toEqual(before);
    scripted.zoom.users.find((user) => user.id === `${account}-u3`)!.type = 1;
    expect(await sync()).toMatchObject({ changed: 1, runs: 1 });
    const after = await xmin();
    expect(after.filter((row, n) => row.xmin !== before[n]!.xmin).map((row) => row.key)).toEqual([`${account}-u3`]);
    expect((await runs()).map((run) => run.cause)).toContain('directory_changed');
  });

  it('is not walked again by a question that waited while it was walked', async () => {
    const { sync, pages, db, account } = await setting();
    await db.transaction().execute((trx) => wantWalk(trx, account));
    const asked = (await owed(db)).at(-1);
    const seen = asked?.payload['seen'] as number;
    // The tick and the candidate asked again between two slices: the same copy was too old for them.
    expect(await sync({ seen, sliceMs: 0 })).toMatchObject({ state: 'more' });
    expect(await sync({ seen })).toMatchObject({ state: 'done' });
    const walked = pages().length;
    expect(await sync({ seen })).toEqual({ state: 'walked' });
    expect(pages()).toHaveLength(walked);
    expect(await sync({ seen: null })).toEqual({ state: 'walked' });
    expect(await sync()).toMatchObject({ state: 'done' });
  });

  it('asks at its pace from call to call: never sooner, and what a page costs is no pause on top', async () => {
    const { sync, scripted } = await setting();
    const [paceMs, answerMs] = [150, 100];
    const at: number[] = [];
    scripted.zoom.override['users:active'] = async () => {
      at.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, answerMs));
      return null;
    };
    expect(await sync({ paceMs })).toMatchObject({ state: 'done' });
    const gaps = at.slice(1).map((time, n) => time - at[n]!);
    expect(gaps.length).toBeGreaterThan(2);
    // A timer may fire a millisecond early.
    expect(Math.min(...gaps)).toBeGreaterThan(paceMs - 3);
    expect(Math.min(...gaps)).toBeLessThan(paceMs + answerMs);
  });

  it('reads the token for pages that follow at once, and again a moment later', async () => {
    const { account, deps } = await setting({ users: 6 });
    const reads = async (paceMs: number) => {
      let calls = 0;
      const grants: typeof deps.grants = {
        ...deps.grants,
        call: (...args) => {
          calls += 1;
          return deps.grants.call(...args);
        },
      };
      const walk = { paceMs, sliceMs: 60_000, pageSize: 5 };
      expect(await syncDirectory({ ...deps, grants }, account, walk)).toMatchObject({ state: 'done' });
      return calls;
    };
    // Two pages of active users, one of each other state.
    expect(await reads(101)).toBe(4);
    expect(await reads(0)).toBeLessThan(4);
  });

  it('looks at the grant before it asks once more for a page whose token was refused', async () => {
    const { db, sync, scripted, pages, account } = await setting();
    const refuse = (also?: () => Promise<unknown>) => {
      let asked = 0;
      scripted.zoom.override['users:active'] = async () => {
        asked += 1;
        if (asked !== 2) return null;
        await also?.();
        return failure('token', { status: 401, code: 124 });
      };
    };
    refuse();
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
    expect(pages()).toHaveLength(8);
    scripted.zoom.calls.length = 0;
    const becomes = (state: string, reason: string | null) =>
      sql`update steward.grants set state = ${state}, dead_reason = ${reason} where zoom_account_id = ${account}`.execute(
        db,
      );
    refuse(() => becomes('dead', 'revoked'));
    expect(await sync()).toMatchObject({ state: 'failed', retryable: false });
    expect(pages()).toHaveLength(2);
    await becomes('living', null);
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
  });

  it('stages whatever an address may be made of', async () => {
    const { sync, stored, scripted, account, db, organization } = await setting();
    const address = `"a\\,{b}"c'"@${organization.domain}`;
    scripted.zoom.users.push(
      { id: `q"u\\o,te-${account}`, email: address, account },
      { id: `null-${account}`, email: 'NULL', account },
    );
    await sql`
      insert into steward_app.members (id, organization_id, name, email, email_verified, role)
      values (gen_random_uuid(), ${organization.id}, 'M', ${address}, true, 'user')`.execute(db);
    expect(await sync()).toMatchObject({ state: 'done', users: 23 });
    const rows = await stored();
    expect(rows.find((row) => row.address_key === address)).toMatchObject({ zoom_user_id: `q"u\\o,te-${account}` });
    expect(rows.find((row) => row.user_key === `null-${account}`)?.address_key).toBe(
      scriptedVault.pseudonyms('null')[0],
    );
  });

  it('goes on where a slice ended, in another process, without asking for a page twice', async () => {
    const { sync, pages, db, play, account } = await setting();
    expect(await sync({ sliceMs: 0 })).toEqual({ state: 'more', pages: 1 });
    const second = playConnections(db, play.scripted);
    let result = await syncDirectory(second.deps, account, { sliceMs: 0, paceMs: 0, pageSize: 5 });
    for (let n = 0; result.state === 'more' && n < 20; n += 1) result = await sync({ sliceMs: 0 });
    expect(result).toMatchObject({ state: 'done', users: 21 });
    expect(pages()).toHaveLength(7);
  });

  it('goes on after a crash once the lease is over, and nobody walks beside it before', async () => {
    const { sync, scripted, db, pages } = await setting();
    let calls = 0;
    scripted.zoom.override['users:active'] = () => {
      calls += 1;
      if (calls === 3) throw new Error('killed here');
      return null;
    };
    await expect(sync()).rejects.toThrow('killed here');
    expect(await sync()).toEqual({ state: 'busy' });
    await advanceClock(db, '121 seconds');
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
    // Two pages before the crash, the third asked for twice.
    expect(pages().filter((call) => call === 'users:active')).toHaveLength(6);
  });

  it('begins anew when the page token died with its 15 minutes, or Zoom says so', async () => {
    const { sync, scripted, db, pages } = await setting();
    await sync({ sliceMs: 0 });
    await advanceClock(db, '13 minutes');
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
    expect(pages().filter((call) => call === 'users:active')).toHaveLength(6);
    let refuse = false;
    scripted.zoom.override['users:active'] = () => {
      const now = refuse;
      refuse = false;
      return now ? failure('page_token', { code: 300 }) : null;
    };
    await sync({ sliceMs: 0 });
    refuse = true;
    expect(await sync()).toMatchObject({ state: 'more' });
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
  });

  it('of two that fetched the same page, one moves on', async () => {
    const { sync, scripted, db, stored, account } = await setting();
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    scripted.zoom.override['users:inactive'] = async () => {
      delete scripted.zoom.override['users:inactive'];
      reach();
      await opened;
      return null;
    };
    const slow = sync();
    await reached;
    // The page is asked for while the one before is written.
    const place = () =>
      sql<{ status: string }>`select walk_status as status from steward.directories where zoom_account_id = ${account}`
        .execute(db)
        .then(({ rows }) => rows[0]?.status);
    await expect.poll(place, { interval: 5 }).toBe('inactive');
    await advanceClock(db, '121 seconds');
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
    // What the late page would stage belongs to a walk that is over: nobody would ever clear it away.
    const staged = async () =>
      (await sql<{ n: number }>`select count(*) as n from steward.directory_staging`.execute(db)).rows[0]?.n;
    const before = await staged();
    scripted.zoom.users.push({ id: 'late', email: 'late@elsewhere.example', account, status: 'inactive' });
    open();
    expect(await slow).toEqual({ state: 'busy' });
    expect(await staged()).toBe(before);
    expect(await stored()).toHaveLength(21);
  });

  it('keeps the pace of the limits: between slices, as assumed, as headers say, as an operator says', async () => {
    const { db, sync, scripted, account } = await setting();
    const waits: number[] = [];
    /** longest and shortest wait before a page, ms, the first page included; what other work cost is part of the pace */
    const waited = async (share = 0.25) => {
      waits.length = 0;
      await sync({ paceMs: undefined, share, sleep: async (ms: number) => waits.push(ms), pageSize: 300 });
      return waits.length === 3 ? [Math.max(...waits.slice(1)), Math.min(...waits)] : waits;
    };
    const state = (limits: MediumLimits | null) =>
      db
        .transaction()
        .execute((trx) => stateLimits(trx, { zoomAccountId: account, limits, actor: 'operator:o', reason: 'r' }));
    // A hundredth of Pro's twenty a second is five seconds.
    const [longest, shortest] = await waited(0.01);
    expect(longest).toBeLessThanOrEqual(5_000);
    expect(shortest).toBeGreaterThan(3_000);
    const limit = { label: 'medium', per: 'second', limit: 60, remaining: 1 };
    scripted.zoom.override['users:active'] = () => ({ ok: true, value: { users: [], nextPageToken: null }, limit });
    const [told] = await waited(0.01);
    expect(told).toBeGreaterThan(1_000);
    expect(told).toBeLessThanOrEqual(1_667);
    delete scripted.zoom.override['users:active'];
    await state({ perSecond: 10, perDay: null });
    expect((await waited(0.01))[1]).toBeGreaterThan(7_000);
    await state(null);
    expect((await waited(0.01))[0]).toBeLessThanOrEqual(1_667);
    // What Zoom said is believed for a day, also if it says something else then: one odd answer holds no account for ever.
    await advanceClock(db, '25 hours');
    expect((await waited(0.01))[0]).toBeGreaterThan(3_000);
    const light = { ok: true, limit: { label: 'light', per: 'second', limit: 30, remaining: 1 } } as const;
    await learnLimits(db, account, light, 'light');
    expect(await findWalkFacts(db, account)).toMatchObject({ mediumPerSecond: null, lightPerSecond: 30 });
  });

  it('asks for the next page while one is written', async () => {
    const { db, sync, scripted, account } = await setting();
    const asked = Promise.withResolvers<'asked'>();
    const locked = Promise.withResolvers<void>();
    let held: Promise<string> | undefined;
    scripted.zoom.override['users:inactive'] = () => asked.resolve('asked');
    scripted.zoom.override['users:active'] = async () => {
      delete scripted.zoom.override['users:active'];
      // From now on nothing of the walk can be written.
      held = db.transaction().execute(async (trx) => {
        await sql`select from steward.directories where zoom_account_id = ${account} for update`.execute(trx);
        locked.resolve();
        return Promise.race([asked.promise, delay(2_000, 'not asked')]);
      });
      await locked.promise;
      return null;
    };
    expect(await sync({ pageSize: 300 })).toMatchObject({ state: 'done', users: 21 });
    expect(await held).toBe('asked');
  });

  it('stops before it takes more than its share of a day, and holds nobody else', async () => {
    const { db, play, sync, scripted, account, pages, organization } = await setting();
    const state = (perDay: number | null) =>
      db.transaction().execute((trx) =>
        stateLimits(trx, {
          zoomAccountId: account,
          limits: perDay === null ? null : { perSecond: 60, perDay },
          actor: 'operator:o',
          reason: 'r',
        }),
      );
    const staged = () => db.selectFrom('steward.directory_staging').selectAll().execute();
    // Three calls of a quarter of 24 were used by the walk that connecting needed; this one needs more than a day.
    await state(24);
    const stopped = await sync();
    expect(stopped).toMatchObject({ state: 'daily_limit' });
    expect(stopped.state === 'daily_limit' && stopped.retryInMs).toBeGreaterThan(60_000);
    expect(pages()).toHaveLength(3);
    expect(await staged()).toEqual([]);
    expect(await sync()).toMatchObject({ state: 'daily_limit' });
    expect(pages()).toHaveLength(3);
    await advanceClock(db, '7 hours');
    await sql`update steward.directories set walk_resumes_at = steward.now() + interval '1 hour' where zoom_account_id = ${account}`.execute(
      db,
    );
    expect(await listStaleDirectories(db)).not.toContain(account);
    const joiner = await insertMember(organization.id, organization.domain, 'joiner');
    expect(await lookUpAddress(play.deps, { zoomAccountId: account, memberId: joiner })).toEqual({ state: 'none' });
    // A limit that was stated ends the wait; then a day that has too little left for a whole walk is not begun.
    await state(60);
    expect(await listStaleDirectories(db)).toContain(account);
    await sql`update steward.directories set walk_day = date_trunc('day', steward.now(), 'UTC'), walk_calls = 8 where zoom_account_id = ${account}`.execute(
      db,
    );
    expect(await sync()).toMatchObject({ state: 'daily_limit' });
    expect(pages()).toHaveLength(3);
    await advanceClock(db, '25 hours');
    expect(await sync()).toMatchObject({ state: 'done' });
    expect(pages()).toHaveLength(10);
    // While a tenth of the day is left, it is for people.
    await state(null);
    const limit = { label: 'medium', per: 'day', limit: 2_000, remaining: 199 };
    scripted.zoom.override['users:inactive'] = () => ({ ok: true, value: { users: [], nextPageToken: null }, limit });
    expect(await sync()).toMatchObject({ state: 'daily_limit' });
  });

  it('honours the limit of the account for everybody', async () => {
    const { sync, scripted, db, play, organization, account } = await setting();
    scripted.zoom.override['users:active'] = () =>
      failure('rate_limited', { status: 429, retryAtMs: Date.now() + 30_000 });
    expect(await sync()).toMatchObject({ state: 'blocked' });
    delete scripted.zoom.override['users:active'];
    const blocked = await sync();
    expect(blocked.state === 'blocked' && blocked.retryInMs).toBeGreaterThan(20_000);
    const joiner = await insertMember(organization.id, organization.domain, 'joiner');
    expect(await lookUpAddress(play.deps, { zoomAccountId: account, memberId: joiner })).toMatchObject({
      state: 'later',
      reason: 'blocked',
    });
    await advanceClock(db, '31 seconds');
    expect(await sync()).toMatchObject({ state: 'done' });
  });

  it('that fails half-way leaves the copy as it was, and hints where permission is missing', async () => {
    const { sync, scripted, stored, db, connectionId } = await setting();
    const before = await stored();
    await sql`delete from steward.outbox`.execute(db);
    scripted.zoom.users.splice(0, 3);
    scripted.zoom.override['users:pending'] = () => failure('server', { status: 500 });
    expect(await sync({ sleep: async () => {} })).toEqual({ state: 'failed', reason: 'server', retryable: true });
    // Nor does a slice that ends before the last try go on at once: only the job's retry waits long enough for an outage.
    expect(await sync({ sliceMs: 0 })).toEqual({ state: 'failed', reason: 'server', retryable: true });
    expect(await stored()).toEqual(before);
    scripted.zoom.override['users:pending'] = () => failure('missing_permission');
    expect(await sync()).toEqual({ state: 'failed', reason: 'missing_permission', retryable: false });
    expect(await owed(db)).toContainEqual({ job: 'verify-admin-role', payload: { connectionId } });
  });

  it('that loses a tenth of the matched users does not replace the copy, until Zoom confirms it an hour later', async () => {
    const { sync, scripted, stored, match, db, account } = await setting();
    await match();
    const hidden = scripted.zoom.users.filter((user) => user.id.endsWith('u1') || user.id.endsWith('u2'));
    const keep = scripted.zoom.users.filter((user) => !hidden.includes(user));
    const listAll = scripted.zoom.users.slice();
    const set = (users: typeof keep) => scripted.zoom.users.splice(0, Infinity, ...users);
    set(keep.concat(hidden.slice(1)));
    expect(await sync()).toMatchObject({ state: 'done', users: 20 });
    set(listAll);
    await sync();
    set(keep);
    expect(await sync()).toEqual({ state: 'refused', matched: 20, lost: 2 });
    expect(await stored()).toHaveLength(21);
    // Still listed short an hour later, but Zoom knows the two when asked for each: the list is wrong.
    await advanceClock(db, '61 minutes');
    scripted.zoom.override['user'] = () => ({
      ok: true,
      value: { id: 'x', email: null, type: 2, status: 'active', accountId: account },
    });
    expect(await sync()).toMatchObject({ state: 'refused' });
    expect(await stored()).toHaveLength(21);
    delete scripted.zoom.override['user'];
    expect(await sync()).toMatchObject({ state: 'done', users: 19 });
    const { refused } = await db
      .selectFrom('steward.directories')
      .select('refused')
      .where('zoom_account_id', '=', account)
      .executeTakeFirstOrThrow();
    expect(refused).toBeNull();
  });

  it('is of no use without a grant, and the copy goes when nothing needs it', async () => {
    const { db, play, sync, account, connectionId, stored } = await setting();
    expect(await syncDirectory(play.deps, 'nobody', {})).toEqual({ state: 'unused' });
    await sync();
    expect(await deleteUnusedDirectories(db)).toBe(0);
    await sql`update steward.org_connections set state = 'none', grant_id = null where id = ${connectionId}`.execute(
      db,
    );
    expect(await deleteUnusedDirectories(db)).toBeGreaterThanOrEqual(1);
    expect(await stored()).toEqual([]);
    expect(account).toContain('acc-');
  });
});

async function insertMember(organizationId: string, domain: string, label: string): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role)
    values (gen_random_uuid(), ${organizationId}, ${label}, ${`${label}@${domain}`}, true, 'user') returning id`.execute(
    database.db,
  );
  return rows[0]!.id;
}

describe('users who move while they are listed', () => {
  const stateOf = async (stored: () => Promise<{ user_key: string; status: string }[]>, key: string) =>
    (await stored()).find((row) => row.user_key === key)?.status;

  it('to a page that was read before are asked about singly, and stay; who is really gone goes', async () => {
    const { sync, scripted, stored, match, account } = await setting({ users: 40 });
    await match();
    const leave = (n: number) =>
      scripted.zoom.users.splice(
        scripted.zoom.users.findIndex(({ id }) => id === `${account}-u${n}`),
        1,
      );
    let listed = 0;
    scripted.zoom.override['users:active'] = () => {
      listed += 1;
      // Once the first page is read somebody on it leaves: whoever was first on the second is on none that is still read.
      if (listed === 2) for (const n of [20, 0]) leave(n);
      return null;
    };
    scripted.zoom.calls.length = 0;
    expect(await sync()).toMatchObject({ state: 'done', users: 40 });
    expect(scripted.zoom.calls.filter((call) => call === 'user')).toHaveLength(2);
    const keys = (await stored()).map((row) => row.user_key);
    expect(keys).toContain(`${account}-u4`);
    expect(keys).not.toContain(`${account}-u20`);
  });

  it('stay as they were if Zoom does not say what became of them', async () => {
    const { db, sync, scripted, stored, match, account } = await setting();
    await match();
    scripted.zoom.users.splice(
      scripted.zoom.users.findIndex(({ id }) => id === `${account}-u3`),
      1,
    );
    scripted.zoom.override['user'] = () => failure('server', { status: 503 });
    await sql`delete from steward.outbox`.execute(db);
    expect(await sync()).toMatchObject({ state: 'done', users: 21, changed: 0 });
    expect(await stateOf(stored, `${account}-u3`)).toBe('active');
    // And are asked about again soon, not only when the next walk misses them.
    expect((await owed(db)).flatMap(({ payload }) => payload['zoomUserId'] ?? [])).toEqual([`${account}-u3`]);
  });

  it('of many who are missing, those beyond the first twenty stay until Zoom was asked about each of them', async () => {
    const { db, sync, scripted, stored, match } = await setting({ users: 240 });
    await match();
    // 22 of 241: too few to refuse the walk, too many to ask about before the swap.
    const missing = scripted.zoom.users
      .filter(({ id }) => /-u[1-9]0$|-u10[0-9]$|-u11[012]$/.test(id))
      .map(({ id }) => id);
    expect(missing).toHaveLength(22);
    scripted.zoom.users = scripted.zoom.users.filter(({ id }) => !missing.includes(id));
    await sql`delete from steward.outbox`.execute(db);
    // Whoever dies in the swap leaves nobody kept and forgotten.
    await sql`alter table steward.directory_lookups rename to gone`.execute(db);
    await expect(sync()).rejects.toThrow('directory_lookups');
    await sql`alter table steward.gone rename to directory_lookups`.execute(db);
    await advanceClock(db, '121 seconds');
    expect(await sync()).toMatchObject({ state: 'done' });
    const keys = (await stored()).map((row) => row.user_key);
    const kept = missing.sort().slice(20);
    expect(missing.filter((id) => keys.includes(id))).toEqual(kept);
    expect((await owed(db)).flatMap(({ payload }) => payload['zoomUserId'] ?? [])).toEqual(kept);
  });

  it('to another state are taken as they were seen last', async () => {
    const { sync, scripted, stored, account } = await setting();
    const user = scripted.zoom.users.find(({ id }) => id === `${account}-u1`)!;
    scripted.zoom.override['users:inactive'] = () => {
      user.status = 'inactive';
      return null;
    };
    expect(await sync()).toMatchObject({ state: 'done', users: 21 });
    expect(await stateOf(stored, user.id)).toBe('inactive');
  });
});

describe('of users who match nobody', () => {
  it('only a keyed hash is kept, nowhere their address; a walk forgets those whose member left', async () => {
    const { db, sync, scripted, account, stored, organization } = await setting({ users: 4 });
    scripted.zoom.users.push(
      { id: 's1', email: 'Stranger@elsewhere.example', account },
      { id: 's2', email: 'stranger@elsewhere.example', account },
      { id: 's3', email: 'invited@elsewhere.example', account, status: 'pending' },
    );
    await sync();
    const leaver = organization.people[0]!;
    await sql`update steward_app.members set active = false, email_verified = false where id = ${organization.people[1]!.id}`.execute(
      db,
    );
    await sql`delete from steward_app.members where id = ${leaver.id}`.execute(db);
    await sync();
    const rows = await stored();
    const kept = new Set(rows.map((row) => row.address_key));
    expect(kept.has(leaver.email)).toBe(false);
    // Who may come back, or has yet to verify the address, is somebody of ours.
    expect(kept.has(organization.people[1]!.email)).toBe(true);
    const [hash] = scriptedVault.pseudonyms('stranger@elsewhere.example');
    expect(rows.filter((row) => row.address_key === hash).map((row) => [row.user_key, row.duplicate])).toEqual([
      ['s1', true],
      ['s2', true],
    ]);
    const { rows: anywhere } = await sql<{ text: string }>`
      select (select coalesce(jsonb_agg(u)::text, '') from steward.directory_users u) ||
             (select coalesce(jsonb_agg(s)::text, '') from steward.directory_staging s) ||
             (select coalesce(jsonb_agg(l)::text, '') from steward.directory_lookups l) as text`.execute(db);
    expect(anywhere[0]?.text).toContain(organization.people[2]!.email);
    expect(anywhere[0]?.text).not.toMatch(/elsewhere\.example/i);
  });

  it('a joiner is found by it without asking Zoom, and both of two who share it', async () => {
    const { db, play, sync, scripted, account, organization, pages, stored } = await setting({ users: 4 });
    scripted.zoom.users.push(
      { id: 'early', email: `early@${organization.domain}`, account },
      { id: 'twin1', email: `twin@${organization.domain}`, account },
      { id: 'twin2', email: `twin@${organization.domain}`, account },
    );
    await sync();
    scripted.zoom.calls.length = 0;
    const hosting = async (memberId: string) => {
      await reconcileMember(db, memberId, { cause: 'test', actor: 'schedule' });
      const { rows } = await sql<{ hosting: string }>`select hosting from steward.resolve_member(${memberId})`.execute(
        db,
      );
      return rows[0]?.hosting;
    };
    for (const [label, found] of [
      ['early', 'can_host'],
      ['twin', 'ambiguous_match'],
    ] as const) {
      const memberId = await insertMember(organization.id, organization.domain, label);
      expect(await hosting(memberId)).toBe('checking');
      expect(await lookUpAddress(play.deps, { zoomAccountId: account, memberId })).toEqual({ state: 'found' });
      expect(await hosting(memberId)).toBe(found);
    }
    expect(scripted.zoom.calls).toEqual([]);
    expect(await sync()).toMatchObject({ changed: 0 });
    expect((await stored()).filter((row) => row.address_key.startsWith('#'))).toHaveLength(1);
    expect(pages()).not.toEqual([]);
  });

  it('a new key is taken by a walk that is due at once; meanwhile hashes under the old one are found', async () => {
    const { db, play, sync, scripted, account, organization, stored } = await setting({ users: 4 });
    scripted.zoom.users.push({ id: 'early', email: `early@${organization.domain}`, account });
    await sync();
    const key = (id: string, fill: number) => ({ id, key: new Secret(Buffer.alloc(32, fill).toString('base64')) });
    const rotated = playConnections(
      db,
      scripted,
      createVault({ keys: [key('k1', 7), key('k2', 8)], activeKeyId: 'k2' }),
    );
    expect(await wantNewHashes(db, 'k1')).toBe(0);
    // Begun by a process of before, ended by one with the new key: not all of it is hashed with that.
    await sync({ sliceMs: 0 });
    expect(await syncDirectory(rotated.deps, account, { paceMs: 0, sliceMs: 60_000 })).toMatchObject({ state: 'done' });
    expect(await wantNewHashes(db, 'k2')).toBeGreaterThan(0);
    await advanceClock(db, '11 minutes');
    expect(await listStaleDirectories(db)).toContain(account);
    const memberId = await insertMember(organization.id, organization.domain, 'early');
    expect(await lookUpAddress(rotated.deps, { zoomAccountId: account, memberId })).toEqual({ state: 'found' });
    expect(await syncDirectory(rotated.deps, account, { paceMs: 0, sliceMs: 60_000 })).toMatchObject({ changed: 1 });
    const hashes = (await stored()).map((row) => row.address_key).filter((text) => text.startsWith('#'));
    expect(hashes).toEqual([expect.stringMatching(/^#k2\./)]);
    expect(await listStaleDirectories(db)).not.toContain(account);
    // A process that has the old key alone, as before the rotation: Zoom is asked, nothing is found wrongly.
    expect(play.deps.vault.pseudonyms('a@b.example')[0]).toMatch(/^#k1\./);
  });

  it('a second organization that comes to the account is counted after a walk of its own', async () => {
    const { play, account, scripted, organization } = await setting({ users: 4 });
    const second = await insertOrganization(database.db, { users: 3 });
    scripted.zoom.users.push(...second.people.map(({ email }, n) => ({ id: `second${n}`, email, account })), {
      id: 'second-it',
      email: `it@${second.domain}`,
      account,
    });
    await syncDirectory(play.deps, account, { paceMs: 0, sliceMs: 60_000 });
    const admin = scripted.zoom.users.at(-1)!;
    await connectActive(play, second, account, admin);
    const { rows } = await sql<{ found: unknown }>`
      select k.found from steward.candidates k join steward.org_connections c on c.id = k.connection_id
       where c.organization_id = ${second.id}`.execute(database.db);
    expect(rows[0]?.found).toMatchObject({ members: 5, matched: 3 });
    expect(organization.id).not.toBe(second.id);
  });
});

describe('looking up a joiner', () => {
  it('finds a user, or learns that there is none, with one call, and says that the member changed', async () => {
    const { db, play, scripted, organization, account, stored } = await setting({ users: 4 });
    const [known, unknown] = [
      await insertMember(organization.id, organization.domain, 'anna'),
      await insertMember(organization.id, organization.domain, 'ben'),
    ];
    scripted.zoom.users.push({ id: 'zu-anna', email: `anna@${organization.domain}`, account, type: 1 });
    await sql`delete from steward.outbox`.execute(db);
    const look = (memberId: string) => lookUpAddress(play.deps, { zoomAccountId: account, memberId });
    expect(await look(known)).toEqual({ state: 'found' });
    expect(await look(unknown)).toEqual({ state: 'none' });
    expect((await stored()).find((row) => row.user_key === 'zu-anna')).toMatchObject({
      status: 'active',
      user_type: 1,
      duplicate: false,
    });
    const { count } = await db
      .selectFrom('steward.directory_lookups')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('zoom_account_id', '=', account)
      .executeTakeFirstOrThrow();
    // Both count against the bound of a minute.
    expect(count).toBe(2);
    expect((await owed(db)).map(({ job, payload }) => [job, payload['memberId']])).toEqual([
      ['reconcile-member', known],
      ['reconcile-member', unknown],
    ]);
    expect(await Promise.all([look(known), look(unknown)])).toEqual([{ state: 'not_needed' }, { state: 'not_needed' }]);
    expect(scripted.zoom.calls.filter((call) => call === 'user')).toHaveLength(2);
  });

  it('never asks about an unverified address, and 60 times a minute at most', async () => {
    const { db, play, organization, account, scripted } = await setting({ users: 4 });
    const unverified = await insertMember(organization.id, organization.domain, 'carl');
    await sql`update steward_app.members set email_verified = false where id = ${unverified}`.execute(db);
    const look = (memberId: string) => lookUpAddress(play.deps, { zoomAccountId: account, memberId });
    expect(await look(unverified)).toEqual({ state: 'not_needed' });
    await sql`insert into steward.directory_lookups select ${account}, 'x' || n, steward.now() from generate_series(1, 60) n`.execute(
      db,
    );
    const joiner = await insertMember(organization.id, organization.domain, 'dora');
    expect(await look(joiner)).toMatchObject({ state: 'later', reason: 'lookups' });
    expect(scripted.zoom.calls).not.toContain('user');
    await advanceClock(db, '61 seconds');
    expect(await look(joiner)).toEqual({ state: 'none' });
  });

  it('beyond the bound wants one walk for all, not while the last one is young or was refused', async () => {
    const { db, play, organization, account, scripted, sync, match } = await setting({ users: 4 });
    await match();
    const look = (memberId: string) => lookUpAddress(play.deps, { zoomAccountId: account, memberId });
    const fillMinute = () =>
      sql`insert into steward.directory_lookups select ${account}, 'x' || n, steward.now() from generate_series(1, 60) n
          on conflict (zoom_account_id, address_key) do update set looked_up_at = excluded.looked_up_at`.execute(db);
    const join = async (name: string) => {
      const id = await insertMember(organization.id, organization.domain, name);
      await sql`insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, address_since, match)
                select organization_id, id, true, true, false, 'none', steward.address_key(email), steward.now(), 'checking'
                  from steward_app.members where id = ${id}`.execute(db);
      return id;
    };
    const walksOwed = async () => {
      const all = (await owed(db)).filter(({ job }) => job === 'sync-zoom-directory');
      await sql`delete from steward.outbox`.execute(db);
      return all.map(({ payload }) => payload);
    };
    const later = { state: 'later', reason: 'lookups', retryInMs: 60_000 };
    await walksOwed();
    await fillMinute();
    const first = await join('fred');
    expect(await look(first)).toEqual(later);
    expect(await walksOwed()).toEqual([]);
    await advanceClock(db, '10 minutes');
    await fillMinute();
    expect(await look(first)).toEqual({ state: 'walk' });
    expect(await walksOwed()).toEqual([{ zoomAccountId: account, seen: expect.any(Number) }]);
    // Under way: it answers for who came before it began, and for nobody else.
    scripted.zoom.users.push({ id: 'zu-fred', email: `fred@${organization.domain}`, account });
    scripted.zoom.override['users:pending'] = async () => {
      delete scripted.zoom.override['users:pending'];
      await advanceClock(db, '1 second');
      expect(await look(first)).toEqual({ state: 'walk' });
      expect(await look(await join('gina'))).toEqual(later);
      expect(await walksOwed()).toEqual([]);
      return null;
    };
    expect(await sync()).toMatchObject({ state: 'done', users: 6, runs: 1 });
    expect(await look(first)).toEqual({ state: 'not_needed' });
    await advanceClock(db, '11 minutes');
    await fillMinute();
    await walksOwed();
    await sql`update steward.directories set refused = '{}' where zoom_account_id = ${account}`.execute(db);
    expect(await look(await join('hugo'))).toEqual(later);
    expect(await walksOwed()).toEqual([]);
    expect(scripted.zoom.calls).not.toContain('user');
  });

  it('is kept by a walk that passed the page before, and a walk that began later decides again', async () => {
    const { play, scripted, organization, account, sync, stored } = await setting({ users: 4 });
    const joiner = await insertMember(organization.id, organization.domain, 'emil');
    scripted.zoom.override['users:pending'] = async () => {
      delete scripted.zoom.override['users:pending'];
      scripted.zoom.users.push({ id: 'zu-emil', email: `emil@${organization.domain}`, account });
      expect(await lookUpAddress(play.deps, { zoomAccountId: account, memberId: joiner })).toEqual({ state: 'found' });
      return null;
    };
    expect(await sync()).toMatchObject({ state: 'done', users: 6 });
    expect((await stored()).map((row) => row.user_key)).toContain('zu-emil');
    scripted.zoom.users.pop();
    expect(await sync()).toMatchObject({ state: 'done', users: 5 });
  });
});
