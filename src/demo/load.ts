import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';

/** So many keys and indexes at a time: each of them sorts on one processor most of the time. */
const sideBySide = 2;

/**
 * Fills empty tables the quick way: without their indexes and keys, which are made when the rows are there (keys of random
 * ids are sorted once instead of found a place one by one), and with statistics, as a worker finds them that arrives at a full
 * database. Emptied in the same transaction, so that a Postgres without replicas (`wal_level = minimal`) need not log the
 * rows. For a database that is thrown away if this fails: rows are there before their keys.
 */
export async function load(
  db: Database,
  tables: readonly string[],
  fill: (trx: Transaction<DB>) => Promise<void>,
): Promise<void> {
  const { keys, indexes } = await db.transaction().execute(async (trx) => {
    const run = (text: string) => sql.raw(text).execute(trx);
    await run(settings);
    if (tables.length > 0) await run(`truncate ${tables.join(', ')}`);
    const { rows: keys } = await sql<{ table: string; name: string; kind: string; index: string }>`
      select conrelid::regclass::text as table, quote_ident(conname) as name,
             case contype when 'p' then 'primary key' else 'unique' end as kind, pg_get_indexdef(conindid) as index
        from pg_constraint where conrelid = any(${tables}::regclass[]) and contype in ('p', 'u')`.execute(trx);
    const { rows: indexes } = await sql<{ name: string; definition: string }>`
      select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
        from pg_index i where i.indrelid = any(${tables}::regclass[])
         and not exists (select from pg_constraint c where c.conindid = i.indexrelid)`.execute(trx);
    for (const { table, name } of keys) await run(`alter table ${table} drop constraint ${name}`);
    for (const { name } of indexes) await run(`drop index ${name}`);
    await fill(trx);
    return { keys, indexes };
  });
  const left = [...keys.map(({ index }) => index), ...indexes.map(({ definition }) => definition)];
  const makeIndexes = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const definition = next;
      await db.transaction().execute(async (trx) => {
        await sql.raw(settings).execute(trx);
        await sql.raw(definition).execute(trx);
      });
    }
  };
  await allSettled(Array.from({ length: sideBySide }, makeIndexes));
  for (const { table, name, kind } of keys)
    await sql.raw(`alter table ${table} add constraint ${name} ${kind} using index ${name}`).execute(db);
  if (tables.length > 0) await sql.raw(`vacuum (analyze) ${tables.join(', ')}`).execute(db);
}

const settings = `set local maintenance_work_mem = '1GB'; set local work_mem = '64MB'; set local jit = off`;

/** All to their end, also if one fails: their transactions must not outlive who asked for them. */
async function allSettled(works: readonly Promise<unknown>[]): Promise<void> {
  for (const done of await Promise.allSettled(works)) if (done.status === 'rejected') throw done.reason;
}
