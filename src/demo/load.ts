import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';

/**
 * Fills empty tables the quick way: without their indexes and keys, which are made when the rows are there (keys of random
 * ids are sorted once instead of found a place one by one). Emptied in the same transaction, so that a Postgres without
 * replicas (`wal_level = minimal`) need not log the rows. All or nothing.
 */
export async function load(
  db: Database,
  tables: readonly string[],
  fill: (trx: Transaction<DB>) => Promise<void>,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const run = (text: string) => sql.raw(text).execute(trx);
    await run(`set local maintenance_work_mem = '1GB'; set local work_mem = '64MB'; set local jit = off`);
    if (tables.length > 0) await run(`truncate ${tables.join(', ')}`);
    const keys = await sql<{ table: string; name: string; definition: string }>`
      select conrelid::regclass::text as table, quote_ident(conname) as name, pg_get_constraintdef(oid) as definition
        from pg_constraint where conrelid = any(${tables}::regclass[]) and contype in ('p', 'u')`.execute(trx);
    const indexes = await sql<{ name: string; definition: string }>`
      select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
        from pg_index i where i.indrelid = any(${tables}::regclass[])
         and not exists (select from pg_constraint c where c.conindid = i.indexrelid)`.execute(trx);
    for (const { table, name } of keys.rows) await run(`alter table ${table} drop constraint ${name}`);
    for (const { name } of indexes.rows) await run(`drop index ${name}`);
    await fill(trx);
    for (const { table, name, definition } of keys.rows)
      await run(`alter table ${table} add constraint ${name} ${definition}`);
    for (const { definition } of indexes.rows) await run(definition);
  });
}
