import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import { hostingOfEventType } from '../../../src/reconciliation/locations-hosting.ts';
import { useDatabase } from '../../support/database.ts';

const database = useDatabase();

const organizationId = randomUUID();
const otherId = randomUUID();
const eventTypesEach = 12_000;
const membersEach = 3_000;

/** Two organizations, so that an index on the organization alone is worth little; three of ten event types have Zoom, both ways. */
beforeAll(async () => {
  const { db } = database;
  for (const [organization, name] of [
    [organizationId, 'a'],
    [otherId, 'b'],
  ]) {
    await sql`
      insert into steward_app.members (id, organization_id, name, email, email_verified, role)
      select md5(${name} || 'm' || i)::uuid, ${organization}, 'M', i || '@' || ${name} || '.test', true, 'user' from generate_series(1, ${membersEach}::int) i`.execute(
      db,
    );
    await sql`
      insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      select ${name}, ${name} || i, ${name} || i, i || '@' || ${name} || '.test', 'active', 2, now() from generate_series(1, ${membersEach}::int) i`.execute(
      db,
    );
    await sql`insert into steward.directories (zoom_account_id, synced_at) values (${name}, now())`.execute(db);
    await sql`
      insert into steward_app.event_types (id, organization_id, kind, host_member_id, title, locations)
      select md5(${name} || 'e' || i)::uuid, ${organization}, case when i % 10 = 0 then 'round_robin' else 'solo' end,
             case when i % 10 <> 0 then md5(${name} || 'm' || (i % ${membersEach}::int + 1))::uuid end, 'T',
             case when i % 10 < 3 then '[{"kind": "physical"}, {"kind": "zoom_conference"}]'::jsonb else '[{"kind": "physical"}]' end
        from generate_series(1, ${eventTypesEach}::int) i`.execute(db);
    await sql`
      insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id)
      select md5(${name} || 'e' || i)::uuid, md5(${name} || 'm' || ((i + k) % ${membersEach}::int + 1))::uuid, ${organization}
        from generate_series(10, ${eventTypesEach}::int, 10) i, generate_series(1, 3) k`.execute(db);
    await sql`
      insert into steward_app.locations (id, event_type_id, organization_id, position, kind)
      select gen_random_uuid(), md5(${name} || 'e' || i)::uuid, ${organization}, p, case p when 1 then 'zoom_conference' else 'physical' end
        from generate_series(1, ${eventTypesEach}::int) i, generate_series(0, 1) p where p = 0 or i % 10 < 3`.execute(
      db,
    );
    await sql`
      insert into steward.org_connections (id, organization_id, state, zoom_account_id, generation, restore_generations)
      values (gen_random_uuid(), ${organization}, 'active', ${name}, 5, '{4}')`.execute(db);
    // What earlier removals left: of other event types than those with Zoom now.
    await sql`
      insert into steward.archived_locations (id, organization_id, event_type_id, adapter, place, content, neighbours, cause, offered, generation, run_id, archived_at, expires_at)
      select gen_random_uuid(), ${organization}, md5(${name} || 'e' || i)::uuid, case when i % 10 < 6 then 'rows' else 'json' end, 1, '{}', 'x',
             'organization_disconnected', i % 2 = 0, 4, gen_random_uuid(), now(), now() + interval '90 days'
        from generate_series(1, ${eventTypesEach}::int) i where i % 10 >= 5`.execute(db);
    await sql`
      insert into steward.zoom_starts (organization_id, event_type_id, state, at)
      select ${organization}, md5(${name} || 'e' || i)::uuid, 'had', now() from generate_series(1, ${eventTypesEach}::int) i where i % 10 < 3`.execute(
      db,
    );
  }
  await sql`analyze`.execute(db);
});

type Node = {
  'Node Type': string;
  'Join Filter'?: string;
  'Index Cond'?: string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Partial Mode'?: string;
  Output?: string[];
  Plans?: Node[];
};

/** Runs the statements in a transaction that is rolled back, and gives the plans of everything that ran inside. */
async function plansOf(statements: readonly string[]): Promise<{ nodes: Node[]; called: Set<string> }> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const plans: string[] = [];
  client.on('notice', ({ message }) => {
    const json = message?.indexOf('{') ?? -1;
    if (message?.includes('plan:') && json >= 0) plans.push(message.slice(json));
  });
  try {
    await client.query(`load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
      set auto_explain.log_format = json; set auto_explain.log_level = notice; set client_min_messages = notice; set auto_explain.log_verbose = on`);
    await client.query('begin');
    for (const statement of statements) await client.query(statement);
    await client.query('rollback');
  } finally {
    await client.end();
  }
  const nodes: Node[] = [];
  const collect = (node: Node): void => {
    nodes.push(node);
    node.Plans?.forEach(collect);
  };
  for (const plan of plans) collect((JSON.parse(plan) as { Plan: Node }).Plan);
  const called = plans.flatMap((plan) =>
    [...JSON.stringify((JSON.parse(plan) as { Plan: Node }).Plan).matchAll(/steward\.(\w+)\(/g)].map(
      ([, name]) => name as string,
    ),
  );
  return { nodes, called: new Set(called) };
}

const big = [
  'locations',
  'event_types',
  'event_type_hosts',
  'archived_locations',
  'members',
  'directory_users',
  'zoom_starts',
];
const scansOfBigTables = (nodes: readonly Node[]) =>
  nodes
    .filter((node) => node['Node Type'] === 'Seq Scan' && big.includes(node['Relation Name'] ?? ''))
    .map((node) => node['Relation Name']);

const chunk = (adapter: LocationAdapter, limit = 100) =>
  `select * from steward.reconcile_locations_page('${organizationId}', '${randomUUID()}', '${adapter}', '40000000-0000-0000-0000-000000000000', ${limit})`;
const turnOn = `insert into steward.organization_settings (organization_id, zoom_for_new_event_types, new_event_types_since) values ('${organizationId}', true, '2000-01-01')`;
const disconnect = `update steward.org_connections set state = 'disconnecting', disconnected_at = now(), generation = 6 where organization_id = '${organizationId}'`;
const reconnect = `update steward.org_connections set state = 'active', disconnected_at = null, generation = 7 where organization_id = '${organizationId}'`;

const small = [
  `insert into steward_app.event_types (id, organization_id, kind, title)
   select gen_random_uuid(), gen_random_uuid(), 'solo', 'T' from generate_series(1, 10000)`,
  `insert into steward_app.members (id, organization_id, name, email, email_verified, role)
   select gen_random_uuid(), gen_random_uuid(), 'M', i || '@c.test', true, 'user' from generate_series(1, 10000) i`,
  'drop index steward_app.event_types_organization',
  'create index on steward_app.event_types (organization_id)',
  'alter table steward_app.members drop constraint members_organization_id_id_key',
  'create index on steward_app.members (organization_id)',
];
const analyze = 'analyze steward_app.event_types, steward_app.members';

test('who serves a page is locked and asked by keys, also of a large organization that came since the last count', async () => {
  const page = `'${organizationId}', array(select md5('ae' || i)::uuid from generate_series(1, 3000) i)`;
  const asked = (ask: string) => `select t.* from steward.lock_event_types(${page}) l, ${ask} t`;
  const counted = ['event_types', 'members'];
  const { nodes } = await plansOf([
    ...small,
    // Its rows are put aside while the others are counted.
    ...counted.map(
      (table) =>
        `with gone as (delete from steward_app.${table} where (organization_id = '${organizationId}') is true returning *)
         select * into temp ${table}_aside from gone`,
    ),
    analyze,
    ...counted.map((table) => `insert into steward_app.${table} select * from ${table}_aside`),
    asked(`steward.hosted_event_types('${organizationId}', l.ids, l.kinds, l.owners)`),
    disconnect,
    asked(`steward.cascade_takes('${organizationId}', l.ids, l.kinds, l.owners)`),
  ]);
  const keys = nodes.map((node) => node['Index Cond'] ?? '').filter((condition) => /\bid = ANY/.test(condition));
  expect(keys.length).toBeGreaterThan(3);
  expect(nodes.map((node) => node['Index Name'] ?? '').filter((name) => name.endsWith('_organization_id_idx'))).toEqual(
    [],
  );
});

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('chunks of a cascade, of the return and of a pass with nothing to do read by keys', async () => {
    const { nodes, called } = await plansOf([
      chunk(adapter),
      disconnect,
      chunk(adapter),
      reconnect,
      chunk(adapter),
      chunk(adapter),
    ]);
    const relations = new Set(nodes.map((node) => node['Relation Name']));
    for (const relation of [
      'event_types',
      'archived_locations',
      'members',
      ...(adapter === 'rows' ? ['locations'] : []),
    ])
      expect(relations).toContain(relation);
    expect(scansOfBigTables(nodes)).toEqual([]);
    // The rules are part of the plan: a function called for each row would stand there by name.
    for (const inlined of [
      'rule_takes_zoom',
      'rule_reason',
      'location_print',
      'returnable_archives',
      'event_type_servers',
      'live_reasons_under',
      'without_zoom',
      'only_zoom',
    ])
      expect(called).not.toContain(inlined);
  });

  test('large chunks before the tables have statistics: by keys, and the copies of a page in their order', async () => {
    const forget = `delete from pg_statistic; update pg_class set reltuples = -1, relpages = 0, relallvisible = 0
                     where relnamespace in ('steward'::regnamespace, 'steward_app'::regnamespace) and relkind in ('r', 'i')`;
    const { nodes } = await plansOf([forget, disconnect, chunk(adapter, 3_000), reconnect, chunk(adapter, 3_000)]);
    expect(nodes.length).toBeGreaterThan(50);
    expect(scansOfBigTables(nodes)).toEqual([]);
    // Nor is anything compared with all of a list.
    const compared = nodes.map((node) => node['Join Filter'] ?? '');
    expect(compared.filter((filter) => /(member|event_type)_id = /.test(filter))).toEqual([]);
    // Else all copies that are left would be read and sorted for each page.
    expect(nodes.filter(({ 'Index Name': index }) => index === 'archived_locations_organization')).toContainEqual(
      expect.objectContaining({ 'Node Type': 'Index Scan' }),
    );
  });

  test('one large organization among small ones is read by the keys of the page, not whole', async () => {
    // On average an organization has so few rows that to read all of it looks cheaper than ten keys. With the main app's own
    // indexes: those of the reference app have both columns, of which Postgres 17 and later use both in any case.
    const { nodes } = await plansOf([...small, analyze, disconnect, chunk(adapter, 10), reconnect, chunk(adapter, 10)]);
    const conditions = nodes.map((node) => node['Index Cond'] ?? '').filter((condition) => condition !== '');
    expect(conditions.filter((condition) => /\bid = ANY/.test(condition)).length).toBeGreaterThan(5);
    expect(
      nodes.map((node) => node['Index Name'] ?? '').filter((name) => name.endsWith('_organization_id_idx')),
    ).toEqual([]);
  });

  test('new event types that start with Zoom, those that were there before, and the plan of either read by keys', async () => {
    const additions = `select * from steward.zoom_starts_page('${organizationId}', '${randomUUID()}', '${adapter}', '40000000-0000-0000-0000-000000000000', 100)`;
    const ordered = randomUUID();
    const order = (id: string, undoes: string) =>
      `insert into steward.one_time_runs (id, organization_id, undoes, state, actor, generation, created_at) values ('${id}', '${organizationId}', ${undoes}, 'open', 'operator:test', 5, now())`;
    const { nodes, called } = await plansOf([
      turnOn,
      additions,
      order(ordered, 'null'),
      additions,
      `update steward.one_time_runs set state = 'done'`,
      order(randomUUID(), `'${ordered}'`),
      additions,
      `select * from steward.add_zoom('${organizationId}', '${randomUUID()}', '${adapter}', array[md5('ae1')::uuid])`,
      `select * from steward.plan_zoom_starts('${organizationId}', '${adapter}', true, null, 100)`,
    ]);
    const relations = new Set(nodes.map((node) => node['Relation Name']));
    for (const relation of ['event_types', 'zoom_starts', 'archived_locations', 'members'])
      expect(relations).toContain(relation);
    expect(scansOfBigTables(nodes)).toEqual([]);
    for (const inlined of ['location_print', 'event_type_servers', 'without_zoom', 'rule_reason'])
      expect(called).not.toContain(inlined);
  });

  test('a single event type reads a few rows, whatever the size of the organization', async () => {
    const one = `select * from steward.reconcile_locations('${organizationId}', '${randomUUID()}', '${adapter}', array[md5('ae1')::uuid])`;
    expect(scansOfBigTables((await plansOf([one, disconnect, one])).nodes)).toEqual([]);
  });
});

test('a plan compares whole tables where the organization has a good share of them, and else reads by keys', async () => {
  const plan = `select * from steward.plan_locations('${organizationId}', 'rows', '{"state": "disconnecting"}', 2000, '{}')`;
  const scanned = scansOfBigTables((await plansOf([plan])).nodes);
  expect(scanned).toContain('locations');
  // One user of it could be the shared host: asked by key.
  expect(scanned).not.toContain('directory_users');
  // The same rows beside 20 MB of somebody else's.
  const others = `
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
    select gen_random_uuid(), gen_random_uuid(), '${otherId}', 0, 'physical', jsonb_build_object('address', repeat('a', 1700)) from generate_series(1, 10000)`;
  const { nodes } = await plansOf([others, plan]);
  expect(nodes.map((node) => node['Index Name'])).toContain('locations_zoom');
  const mainApps = ['locations', 'event_types', 'event_type_hosts', 'members'];
  expect(scansOfBigTables(nodes).filter((name) => mainApps.includes(name ?? ''))).toEqual([]);
});

test('parallel workers take their share of a plan that compares whole tables', async () => {
  // Whatever a table of this size is worth; nobody who was looked at may stand in their way.
  const { nodes } = await plansOf([
    'set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0; set local min_parallel_index_scan_size = 0',
    `select * from steward.plan_locations('${organizationId}', 'rows', '{"state": "disconnecting"}', 2000,
       array(select md5('am' || i)::uuid from generate_series(1, 1000) i), true)`,
  ]);
  const below = (node: Node): string[] => [node['Relation Name'] ?? '', ...(node.Plans ?? []).flatMap(below)];
  // The groups are made by the workers: what they hand over is a few rows.
  const shared = nodes.filter((node) => node['Partial Mode'] === 'Partial').map(below);
  expect(shared.filter((tables) => tables.includes('event_types') && tables.includes('member_facts'))).not.toEqual([]);
});

test('hosting of an event type takes under 2 ms', async () => {
  const took = { lookup: [] as number[], hosting: [] as number[] };
  const time = async (into: number[], work: () => Promise<unknown>) => {
    const start = performance.now();
    await work();
    into.push(performance.now() - start);
  };
  // In turns: what else the machine does at the moment slows both.
  for (let i = 10; i <= 2_000; i += 10) {
    const { rows } = await sql<{ id: string }>`select md5('ae' || ${i}::int)::uuid as id`.execute(database.db);
    const id = rows[0]?.id as string;
    await time(took.lookup, () => sql`select title from steward_app.event_types where id = ${id}`.execute(database.db));
    await time(took.hosting, async () => expect(await hostingOfEventType(database.db, id)).toHaveLength(3));
  }
  const median = (times: number[]) => times.sort((a, b) => a - b)[times.length / 2] as number;
  // On an idle machine a look-up takes 0.2 ms.
  expect(median(took.hosting)).toBeLessThan(Math.max(2, 8 * median(took.lookup)));
});
