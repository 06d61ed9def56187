import { sql, type Transaction } from 'kysely';
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
