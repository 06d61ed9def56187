import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate, migrateDown } from '../../src/db/migrate.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

test('every table and column is commented in the database', async () => {
  const { rows } = await sql<{ what: string }>`
    select n.nspname || '.' || c.relname || coalesce('.' || a.attname, '') as what
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where n.nspname in ('steward', 'steward_app') and c.relkind = 'r'
       and coalesce(case when a.attnum is null then obj_description(c.oid) else col_description(c.oid, a.attnum) end, '') = ''
  `.execute(database.db);
  expect(rows).toEqual([]);
});

test('migrating again, and twice at once, changes nothing', async () => {
  expect(await migrate(database.db)).toEqual([]);
  expect(await Promise.all([migrate(database.db), migrate(database.another())])).toEqual([[], []]);
});

test('a function that got more parameters takes the place of the older one', async () => {
  const { db } = database;
  await sql`
    create function steward.tell_location_changes(organization uuid, run uuid default null) returns integer language sql return 1`.execute(
    db,
  );
  await migrate(db);
  const { rows } = await sql`
    select proname, count(*)::int as n from pg_proc where pronamespace = 'steward'::regnamespace group by 1 having count(*) > 1`.execute(
    db,
  );
  expect(rows).toEqual([]);
});

test('down takes everything of the worker away, and up again makes the same', async () => {
  const { db } = database;
  const shape = async (): Promise<unknown> =>
    (
      await sql`
        select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
         where table_schema = 'steward' order by 1, 2`.execute(db)
    ).rows;
  const before = await shape();
  // Events of a mass change that have no positions yet are not lost on the way.
  await sql`
    insert into steward.event_batches (organization_id, seq, change, run_id, cause, event_type_ids, owner_member_ids, locations, needs_location, run_ids, causes, created_at)
    select o.id, 1, 'removed', case when same then o.id end, case when same then 'opted_out' end, array[o.id, o.id, o.id], array[null, o.id, o.id], '{1,2,3}', '{f,f,t}',
           case when not same then array[o.id, o.id, r.id] end, case when not same then '{opted_out,opted_out,opted_out}'::text[] end, steward.now()
      from (values (gen_random_uuid(), true), (gen_random_uuid(), false)) o (id, same), gen_random_uuid() r (id)`.execute(
    db,
  );
  await sql`
    insert into steward.event_hours (organization_id, type, bucket, until, owners)
    select id, 'locations.removed', 1, steward.now() + interval '1 hour', array[id, gen_random_uuid()] from gen_random_uuid() id`.execute(
    db,
  );
  const batches = async () =>
    (await sql<{ there: boolean }>`select to_regclass('steward.event_batches') is not null as there`.execute(db))
      .rows[0]!.there;
  while (await batches()) await migrateDown(db);
  const { rows: untold } = await sql`
    select run_id = organization_id as same, change, locations, causes, needs_location from steward.untold_location_changes order by 1, locations`.execute(
    db,
  );
  const cause = 'opted_out';
  expect(untold).toEqual([
    { same: false, change: 'removed', locations: [3], causes: [cause], needs_location: [true] },
    { same: true, change: 'removed', locations: [1, 2], causes: [cause, cause], needs_location: [false, false] },
    {
      same: true,
      change: 'removed',
      locations: [1, 2, 3],
      causes: [cause, cause, cause],
      needs_location: [false, false, true],
    },
  ]);
  expect((await sql`select from steward.event_sums where until > steward.now()`.execute(db)).rows).toHaveLength(2);
  for (let left = 40; ((await shape()) as unknown[]).length > 0; left -= 1) {
    expect(left).toBeGreaterThan(0);
    await migrateDown(db);
  }
  expect((await migrate(db)).slice(0, 2)).toEqual(['0001-worker-tables', '0002-webhooks']);
  expect(await shape()).toEqual(before);
});
