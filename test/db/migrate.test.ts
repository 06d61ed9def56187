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

test('down takes everything of the worker away, and up again makes the same', async () => {
  const { db } = database;
  const shape = async (): Promise<unknown> =>
    (
      await sql`
        select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
         where table_schema = 'steward' order by 1, 2`.execute(db)
    ).rows;
  const before = await shape();
  for (let left = 40; ((await shape()) as unknown[]).length > 0; left -= 1) {
    expect(left).toBeGreaterThan(0);
    await migrateDown(db);
  }
  expect((await migrate(db)).slice(0, 2)).toEqual(['0001-worker-tables', '0002-webhooks']);
  expect(await shape()).toEqual(before);
});
