import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { resolveMember } from '../../src/reconciliation/resolve-member.ts';
import { useDatabase } from '../support/database.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import { reconcileAll } from './support/play-runs.ts';

/** An organization of 100,000 next to one of 20. One connection, so that its statistics are all there is. */
const members = 100_000;
const database = useDatabase({ max: 1 });
let large: FilledOrganization;
let small: FilledOrganization;

beforeAll(async () => {
  small = await fillOrganization(database.db, 20);
  // This session makes its plan while the tables are known to be small, and keeps it.
  await sql`analyze`.execute(database.db);
  await resolveMember(database.db, await memberOf(database.db, small, 1));
  large = await fillOrganization(database.db, members);
  // As a run would leave them, only sooner.
  await sql`
    insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, address_since, match, zoom_user_key, zoom_status, zoom_type)
    select organization_id, id, true, true, false, 'none', email, updated_at, 'email', split_part(email, '@', 1), 'active', 2
      from steward_app.members where organization_id = ${large.organizationId}`.execute(database.db);
  await sql`
    insert into steward.member_connections (organization_id, member_id, effective, reason, hosting, zoom_user_id, changed_at)
    select organization_id, member_id, 'organization', 'organization', 'can_host', zoom_user_key, steward.now()
      from steward.member_facts where organization_id = ${large.organizationId}`.execute(database.db);
}, 120_000);

/** Rows that were read while the work was done, by table, where they are more than a thousand: by whatever kind of scan. */
async function scanned(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const read = async (db: Database) => {
    await sql`select pg_stat_force_next_flush()`.execute(db);
    const { rows } = await sql<{ name: string; n: number }>`
      select schemaname || '.' || relname as name, seq_tup_read + coalesce(idx_tup_fetch, 0) as n from pg_stat_user_tables`.execute(
      db,
    );
    return new Map(rows.map(({ name, n }) => [name, n]));
  };
  const before = await read(database.db);
  await work();
  const after = await read(database.db);
  return Object.fromEntries(
    [...after].map(([name, n]) => [name, n - (before.get(name) ?? 0)]).filter(([, n]) => (n as number) > 1_000),
  );
}

const someIds = async (count: number): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    select id from steward_app.members where organization_id = ${large.organizationId} order by id desc limit ${count}`.execute(
    database.db,
  );
  return rows.map(({ id }) => id);
};

test('the last member of 100,000 is served by keys alone', async () => {
  const [last] = await someIds(1);
  const resolved = () => resolveMember(database.db, last as string);
  expect(await resolved()).toMatchObject({ effective: expect.stringMatching(/organization|personal/) });
  expect(await scanned(resolved)).toEqual({});
});

test('resolve of one in 100,000: p99 under 2 ms', async () => {
  const ids = await someIds(250);
  const lookUp = (id: string) => sql`select * from steward_app.members where id = ${id}`.execute(database.db);
  // Other tests share the machine: what a lookup by key takes in the same moment says how much.
  const rounds: { resolve: number; lookup: number }[] = [];
  for (let round = 0; round < 8 && !rounds.some(isFast); round++) {
    const took = { resolve: [] as number[], lookup: [] as number[] };
    for (const id of ids) {
      took.lookup.push(await timed(() => lookUp(id)));
      took.resolve.push(await timed(() => resolveMember(database.db, id)));
    }
    rounds.push({ resolve: p99(took.resolve), lookup: p99(took.lookup) });
  }
  expect(rounds.some(isFast), JSON.stringify(rounds)).toBe(true);
});

const isFast = ({ resolve, lookup }: { resolve: number; lookup: number }): boolean =>
  resolve < 2 || resolve < 3 * lookup;

const p99 = (took: readonly number[]): number =>
  took.toSorted((a, b) => a - b)[Math.floor(took.length * 0.99)] as number;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

test('on tables that were just filled, without statistics, a run does not compare everything with everything', async () => {
  const org = await fillOrganization(database.db, 20_000);
  await reconcileAll(database.db, org);
  // The guard rail and the ranges now have 20,000 rows on both sides; squared, this would take minutes.
  expect(await reconcileAll(database.db, org)).toMatchObject({ state: 'done', counts: {} });
});

test('a run of 20 members next to 100,000 reads none of those', async () => {
  expect(await scanned(() => reconcileAll(database.db, small))).toEqual({});
  expect(await scanned(() => reconcileAll(database.db, small))).toEqual({});
});

test('nor does a look at one member, also at one whose address somebody shares', async () => {
  const member = await memberOf(database.db, large, 1);
  await sql`update steward_app.members set email = ${`2@${large.account}.test`} where id = ${member}`.execute(
    database.db,
  );
  const look = () => reconcileMember(database.db, member, { cause: 'member_changed', actor: 'app' });
  expect(await scanned(look)).toEqual({});
  expect(await scanned(look)).toEqual({});
});

test('with statistics the same', async () => {
  await sql`analyze`.execute(database.db);
  const member = await memberOf(database.db, large, 3);
  expect(await scanned(() => resolveMember(database.db, member))).toEqual({});
  expect(await scanned(() => reconcileMember(database.db, member, { cause: 'x', actor: 'app' }))).toEqual({});
  expect(await scanned(() => reconcileAll(database.db, small))).toEqual({});
});
