import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';

/**
 * Has the planner keep to hash joins for the rest of the transaction. For statements
 * that compare whole ranges: inside one bucket of a histogram, or without statistics, a range is estimated as one
 * row, and a nested loop of two ranges never ends (measured: 100,000 members, ten minutes and counting).
 */
export async function keepToHashJoins(trx: Transaction<DB>): Promise<void> {
  await sql`select set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true)`.execute(trx);
}

/**
 * Has the planner keep to indexes for the rest of the transaction. For statements about one organization's keys:
 * statistics from before a large organization came say that every row is the small one's, and all would be read.
 */
export async function keepToIndexes(trx: Transaction<DB>): Promise<void> {
  await sql`select set_config('enable_seqscan', 'off', true)`.execute(trx);
}

/** What a comparison of whole tables is planned with. */
const wholeTables: Readonly<Record<string, string>> = {
  // A hash may take twice that in each process.
  work_mem: '64MB',
  jit: 'off',
  // A handful of groups, estimated as many: a million rows would be sorted for them.
  enable_sort: 'off',
};

/** Sets these until the function it gives is called; the transaction may be the caller's. */
async function setForNow(db: Database, values: Readonly<Record<string, string>>): Promise<() => Promise<void>> {
  const set = (to: Readonly<Record<string, string>>) =>
    sql<{ before: Record<string, string> }>`
      select (select jsonb_object_agg(key, current_setting(key)) from jsonb_each_text(${JSON.stringify(to)}::jsonb)) as before,
             (select count(set_config(key, value, true)) from jsonb_each_text(${JSON.stringify(to)}::jsonb))`.execute(
      db,
    );
  const { rows } = await set(values);
  return async () => {
    await set(rows[0]?.before ?? {});
  };
}

/** Has the planner hash whole tables against each other until the function it gives is called. */
export const compareWholeTables = (db: Database): Promise<() => Promise<void>> => setForNow(db, wholeTables);

/**
 * Has the planner never compare row by row until the function it gives is called. Before a table has statistics it
 * takes an organization for a single row (measured: 10,000 members compared in 27 s, with this in 0.04 s).
 */
export const compareBySets = (db: Database): Promise<() => Promise<void>> => setForNow(db, { enable_nestloop: 'off' });
