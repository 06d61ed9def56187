import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { claimEventBatches, sequenceEvents } from '../../src/db/event-delivery-repository.ts';
import { zoomMayGo } from '../../src/reconciliation/locations-apply.ts';
import { planAnnounced, planOrganization } from '../../src/reconciliation/plan.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { resolveMember } from '../../src/reconciliation/resolve-member.ts';
import { useDatabase } from '../support/database.ts';
import { type PlanNode, recordPlans } from '../support/record-plans.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import { oneChunk, reconcileAll, startRun } from './support/play-runs.ts';

/**
 * What each hot statement reads, by the plans that ran, in an organization of 10,000 beside one of 20: statements of a
 * chunk, a look, a question read what they are about and not the organization, statements about an organization not the others.
 */
const members = 10_000;
const chunk = 20;
const database = useDatabase();
let large: FilledOrganization;
let small: FilledOrganization;
let middle: string;

beforeAll(async () => {
  const { db } = database;
  large = await fillOrganization(db, members);
  small = await fillOrganization(db, 20);
  await reconcileAll(db, large, { chunkSize: members });
  await reconcileAll(db, small);
  await sql`analyze`.execute(db);
  const { rows } = await sql<{ id: string }>`
    select id from steward_app.members where organization_id = ${large.organizationId} order by id limit 1 offset ${members / 2}`.execute(
    db,
  );
  middle = rows[0]?.id as string;
}, 60_000);

/** Rows a node looked at, in all its loops. */
const rowsOf = (node: PlanNode): number =>
  (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];

/** Nodes that looked at more rows, or met more pages of an index than those rows can have cost. */
function tooMuch(nodes: readonly PlanNode[], rows: number): string[] {
  expect(nodes.length).toBeGreaterThan(0);
  return nodes
    .filter((node) => node['Relation Name'] !== undefined || node['Index Name'] !== undefined)
    .filter((node) => {
      const pages = node['Shared Hit Blocks'] + node['Shared Read Blocks'];
      const indexed = node['Index Name'] !== undefined && !node['Node Type'].startsWith('Bitmap Heap');
      return rowsOf(node) > rows || (indexed && pages > 10 + 5 * node['Actual Loops'] + 2 * rowsOf(node));
    })
    .map(
      (node) =>
        `${node['Node Type']} ${node['Relation Name'] ?? node['Index Name']}: ${rowsOf(node)} rows, ${node['Shared Hit Blocks'] + node['Shared Read Blocks']} pages`,
    );
}

/** A run of the large organization that stands in its middle. */
async function runInTheMiddle(db: Database, phase: 'facts' | 'members', alsoResults: boolean): Promise<string> {
  const run = await startRun(database.db, large);
  const progress = { [phase]: { done: 0, total: null, ...(alsoResults ? { alsoResults } : {}) } };
  await sql`
    update steward.runs set phase = ${phase}, cursor = ${middle}, progress = ${JSON.stringify(progress)}::jsonb, approved_by = 'test'
     where id = ${run}`.execute(db);
  return run;
}

test.each([
  ['facts and results in one pass', 'facts', true],
  ['facts', 'facts', false],
  ['results', 'members', false],
] as const)('a chunk of %s reads its range, and of no index more', async (_, phase, alsoResults) => {
  const run = await runInTheMiddle(database.db, phase, alsoResults);
  const nodes = await recordPlans(database.url, (db) => oneChunk(db, run, { chunkSize: chunk }));
  expect(nodes.map((node) => node['Relation Name'])).toContain('member_facts');
  expect(tooMuch(nodes, 3 * chunk)).toEqual([]);
});

test('a look at a member, and a question about one, read by keys', async () => {
  const member = await memberOf(database.db, large, 7);
  const look = (db: Database) => reconcileMember(db, member, { cause: 'member_changed', actor: 'app' });
  expect(tooMuch(await recordPlans(database.url, look), 20)).toEqual([]);
  expect(tooMuch(await recordPlans(database.url, (db) => resolveMember(db, member)), 20)).toEqual([]);
});

test('a plan compares sets: nothing is looked up or read again row by row', async () => {
  const nodes = await recordPlans(database.url, (db) => planOrganization(db, large.organizationId));
  expect(nodes.some((node) => rowsOf(node) >= members)).toBe(true);
  expect(nodes.filter((node) => node['Actual Loops'] > 100 || rowsOf(node) > 2 * members)).toEqual([]);
});

test('a plan of the small organization, and of what was announced in the large one, read no member of the large one', async () => {
  const { db } = database;
  for (const { organizationId, account } of [large, small]) {
    await sql`
      insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
      select id, organization_id, 'round_robin', null, 'T' from steward_app.members where organization_id = ${organizationId}`.execute(
      db,
    );
    await sql`
      insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id)
      select id, id, organization_id from steward_app.members where organization_id = ${organizationId}`.execute(db);
    await sql`
      with own as (
        insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, consented_at)
        select id, 'personal', 'c', ${account}, id, 'gone', steward.now()
          from steward_app.members where organization_id = ${organizationId} and split_part(email, '@', 1)::integer % 10 = 9
        returning id)
      insert into steward.personal_connections (id, organization_id, member_id, state, grant_id)
      select gen_random_uuid(), ${organizationId}, id, 'active', id from own`.execute(db);
  }
  await sql`analyze`.execute(db);
  const survey = await recordPlans(database.url, (one) => zoomMayGo(one, small.organizationId));
  expect(survey.map((node) => node['Relation Name'])).toContain('event_type_hosts');
  expect(tooMuch(survey, 10 * chunk)).toEqual([]);
  expect(
    tooMuch(await recordPlans(database.url, (db) => planOrganization(db, small.organizationId)), 10 * chunk),
  ).toEqual([]);
  await sql`select steward.changed('member', ${await memberOf(database.db, large, 8)}::uuid)`.execute(database.db);
  const announced = (db: Database) => planAnnounced(db, large.organizationId);
  expect(tooMuch(await recordPlans(database.url, announced), 10 * chunk)).toEqual([]);
});

test('events get their positions in order, and nobody reads all that wait for theirs', async () => {
  const { db, url } = database;
  await sql`
    insert into steward.events (organization_id, type, subject_id, created_at)
    select ${small.organizationId}, 'locations.removed', gen_random_uuid(), steward.now() from generate_series(1, ${100 * chunk})`.execute(
    db,
  );
  // Of many that were placed, and of many hours that run, a round reads its own.
  await sequenceEvents(db, 50 * chunk);
  await sql`analyze steward.events, steward.event_sums`.execute(db);
  const round = 10 * chunk;
  const place = async (one: Database) => {
    // Once before, as below: what a connection reads of the catalog for a function is no page of an index.
    await sql`select steward.now()`.execute(one);
    await sequenceEvents(one, round);
  };
  expect(tooMuch(await recordPlans(url, place), 3 * round)).toEqual([]);

  // Of hours that are over, what waits for each is found by its owner.
  while ((await sequenceEvents(db, 50 * chunk)) > 0);
  await sql`
    insert into steward.events (organization_id, type, subject_id, created_at)
    select organization_id, type, subject_id, created_at from steward.events where type = 'locations.removed'`.execute(
    db,
  );
  while ((await sequenceEvents(db, 50 * chunk)) > 0);
  await sql`
    update steward.event_sums set until = steward.now() where ctid = any(array(select ctid from steward.event_sums limit ${chunk}))`.execute(
    db,
  );
  const close = async (one: Database) => {
    await sql`select steward.now()`.execute(one);
    await sequenceEvents(one, 1);
  };
  expect(tooMuch(await recordPlans(url, close), 3 * chunk)).toEqual([]);
  // What was held back and goes now is older than all that was told meanwhile, which a round beside the newest does not read.
  await sql`
    insert into steward.events (organization_id, type, created_at) values (${small.organizationId}, 'run.finished', steward.now())`.execute(
    db,
  );
  expect(tooMuch(await recordPlans(url, place), 3 * chunk)).toEqual([]);

  // Of a mass change that waits in batches a round reads one, and of the hours that run those of its owners.
  while ((await sequenceEvents(db, 50 * chunk)) > 0);
  const tellMass = async (change: string) => {
    await sql`
      insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
      select ${small.organizationId}, gen_random_uuid(), ${change}, array_agg(gen_random_uuid()), array_agg(gen_random_uuid()), array_agg(1), array_agg(null::text), array_agg(false)
        from generate_series(1, ${25 * chunk})`.execute(db);
    await sql`select steward.tell_location_changes(${small.organizationId}, null, 0, ${chunk})`.execute(db);
  };
  await tellMass('added');
  while ((await sequenceEvents(db, 50 * chunk)) > 0);
  await tellMass('added');
  // What was placed singly above has left its entries in the index of those that wait.
  await sql`vacuum (analyze) steward.events, steward.event_hours, steward.event_batches`.execute(db);
  const placeOne = async (one: Database) => {
    await sql`select steward.now()`.execute(one);
    await sequenceEvents(one, 1);
  };
  expect(tooMuch(await recordPlans(url, placeOne), 6 * chunk)).toEqual([]);

  // Of what one organization was told since ever, its next batch is what it has not taken.
  while ((await sequenceEvents(db, 50 * chunk)) > 0);
  const { rows } = await sql<{ last: number }>`select max(position) as last from steward.events`.execute(db);
  await sql`select steward.events_taken(${(rows[0]?.last ?? 0) - chunk}, ${small.organizationId})`.execute(db);
  const claim = (one: Database) => claimEventBatches(one, { limit: 10, events: chunk, redoMs: 1_000 });
  expect(tooMuch(await recordPlans(url, claim), 3 * chunk)).toEqual([]);
  const read = async (one: Database) => {
    await sql`select steward.read_events_taken(${small.organizationId})`.execute(one);
    await sql`select steward.read_events(null, ${chunk}, ${small.organizationId})`.execute(one);
  };
  expect(tooMuch(await recordPlans(url, read), 3 * chunk)).toEqual([]);
});
