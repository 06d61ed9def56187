import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** Below the times after which whoever waits for the database gives up or tries on another connection (10 s). */
const longestLockWaitMs = 8_000;

/**
 * For the transactions of a refresh: what they commit survives the server's crash (lifecycle §3: synchronous), and a row
 * that somebody else holds on to ends them rather than keep a connection of the pool.
 */
export async function beCareful(trx: Transaction<DB>): Promise<void> {
  await sql`select set_config('synchronous_commit', 'on', true), set_config('lock_timeout', ${`${longestLockWaitMs}ms`}, true)`.execute(
    trx,
  );
}
