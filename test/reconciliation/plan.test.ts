import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { planAnnounced, planOrganization } from '../../src/reconciliation/plan.ts';
import { useDatabase } from '../support/database.ts';
import { fillOrganization, memberOf } from './support/fill-organization.ts';
import { changeConnection, playRun, reconcileAll, rowVersions, storedResults } from './support/play-runs.ts';

const database = useDatabase();

const organization = { effective: 'organization', reason: 'organization', hosting: 'can_host' };

test('a plan says what the run then does, in pages of any size, and writes nothing', async () => {
  const org = await fillOrganization(database.db, 50);
  const plan = await planOrganization(database.db, org.organizationId);
  expect(await planOrganization(database.db, org.organizationId, { pageSize: 7 })).toEqual(plan);
  expect(plan.members.changes.map(({ before, after, count }) => ({ before, after, count }))).toEqual([
    { before: null, after: organization, count: 40 },
    { before: null, after: { ...organization, hosting: 'no_zoom_user' }, count: 5 },
    { before: null, after: { effective: 'personal', reason: 'personal', hosting: 'can_host' }, count: 5 },
  ]);
  expect(plan.members.changes[0]?.examples).toHaveLength(5);
  expect(await rowVersions(database.db, org.organizationId)).toEqual([]);
  expect(await reconcileAll(database.db, org)).toMatchObject({
    counts: { 'members.written': plan.members.summary.changes },
  });
  expect(await planOrganization(database.db, org.organizationId)).toMatchObject({
    members: { summary: { changes: 0 }, changes: [] },
  });
});

test('under an assumed disconnect it counts what the cascade then takes, and what people keep', async () => {
  const org = await fillOrganization(database.db, 50);
  await reconcileAll(database.db, org);
  const plan = await planOrganization(database.db, org.organizationId, { assume: { state: 'disconnecting' } });
  expect(plan).toMatchObject({
    generation: 1,
    assumed: { state: 'disconnecting' },
    members: {
      summary: {
        members: 50,
        changes: 45,
        couldHost: 45,
        canHost: 5,
        stopHosting: 40,
        startHosting: 0,
        keepPersonal: 5,
        lost: 45,
      },
    },
    guard: { served: 50, lost: 0, held: false },
  });
  expect(await storedResults(database.db, org.organizationId)).toMatchObject({ 'organization/can_host': 40 });
  const cascade = await changeConnection(database.db, org, { state: 'disconnecting' });
  expect(await playRun(database.db, cascade)).toMatchObject({
    counts: { 'members.lost': 45, 'members.canHostLost': 40 },
  });
});

test('a table without statistics is compared as a set all the same', async () => {
  // Row by row this takes seconds: every member against every other.
  const org = await fillOrganization(database.db, 5_000);
  await reconcileAll(database.db, org);
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from pg_stats where schemaname = 'steward' and tablename = 'member_facts'`.execute(
    database.db,
  );
  expect(rows).toEqual([{ n: 0 }]);
  const startedAt = performance.now();
  const plan = await planOrganization(database.db, org.organizationId, { assume: { state: 'disconnecting' } });
  expect(performance.now() - startedAt).toBeLessThan(1_500);
  expect(plan.members.summary.lost).toBe(4_500);
  // Neither are those who share an address with one of many found by reading everybody for each.
  const askedAt = performance.now();
  const { rows: peers } = await sql<{ n: number }>`
    select count(*) as n from steward.doubtful_peers(${org.organizationId}, array(
      select id from steward_app.members where organization_id = ${org.organizationId}))`.execute(database.db);
  expect(peers).toEqual([{ n: 5_000 }]);
  expect(performance.now() - askedAt).toBeLessThan(1_500);
});

test('before any run, who can host now is counted from the facts', async () => {
  const org = await fillOrganization(database.db, 20);
  const plan = await planOrganization(database.db, org.organizationId, { assume: { state: 'disconnecting' } });
  expect(plan.members.summary).toMatchObject({ couldHost: 18, canHost: 2, stopHosting: 16, lost: 0 });
});

test('a narrower rollout, and opting out, are assumed in the same way', async () => {
  const org = await fillOrganization(database.db, 20);
  await reconcileAll(database.db, org);
  const narrowed = await planOrganization(database.db, org.organizationId, {
    assume: { rollout: 'domains', rolloutDomains: ['else.test'] },
  });
  expect(narrowed).toMatchObject({
    members: { summary: { couldHost: 18, canHost: 2, lost: 18 } },
    guard: { served: 20, lost: 18, held: true },
  });
  const same = await planOrganization(database.db, org.organizationId, {
    assume: { rollout: 'domains', rolloutDomains: [`${org.account}.test`] },
  });
  expect(same.members.summary.changes).toBe(0);
  const member = await memberOf(database.db, org, 1);
  await sql`insert into steward.opt_outs (organization_id, member_id) values (${org.organizationId}, ${member})`.execute(
    database.db,
  );
  const allowed = await planOrganization(database.db, org.organizationId, { assume: { allowOptOut: true } });
  expect(allowed.members.changes).toEqual([
    {
      before: organization,
      after: { effective: 'none', reason: 'opted_out', hosting: 'no_connection' },
      count: 1,
      examples: [member],
    },
  ]);
});

test('people who left are changes too', async () => {
  const org = await fillOrganization(database.db, 20);
  await reconcileAll(database.db, org);
  const member = await memberOf(database.db, org, 1);
  await sql`delete from steward_app.members where id = ${member}`.execute(database.db);
  expect((await planOrganization(database.db, org.organizationId)).members.changes).toEqual([
    { before: organization, after: null, count: 1, examples: [member] },
  ]);
});

test('what was announced is found by both plans, what was not by the full one alone', async () => {
  const org = await fillOrganization(database.db, 20);
  await reconcileAll(database.db, org);
  const [said, unsaid, shared] = [
    await memberOf(database.db, org, 1),
    await memberOf(database.db, org, 2),
    await memberOf(database.db, org, 3),
  ];
  const other = await fillOrganization(database.db, 5);
  const foreign = await memberOf(database.db, other, 1);
  await sql`update steward_app.members set active = false where id in (${said}, ${unsaid})`.execute(database.db);
  for (const id of [said, said, foreign]) await sql`select steward.changed('member', ${id})`.execute(database.db);
  const announced = await planAnnounced(database.db, org.organizationId);
  expect(announced).toMatchObject({
    announced: 1,
    generation: 1,
    members: { summary: { members: 1, changes: 1, lost: 1 }, changes: [{ count: 1, examples: [said] }] },
  });
  const full = await planOrganization(database.db, org.organizationId);
  expect(full.members.changes).toMatchObject([{ count: 2, examples: [said, unsaid].sort() }]);

  // Whose address somebody takes is planned with them, announced or not.
  await sql`update steward_app.members set email = ${`3@${org.account}.test`}, active = true where id = ${said}`.execute(
    database.db,
  );
  const { members } = await planAnnounced(database.db, org.organizationId);
  expect(members.changes.flatMap(({ examples }) => examples)).toEqual([shared]);
});

test('nothing announced: nothing looked at', async () => {
  const org = await fillOrganization(database.db, 20);
  expect(await planAnnounced(database.db, org.organizationId)).toMatchObject({
    announced: 0,
    members: { summary: { members: 0, changes: 0 }, changes: [] },
  });
});
