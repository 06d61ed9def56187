import { type Kysely, sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** A swap holds the account's row and what it writes for as long as it takes: seconds, with a million users. */
const longestWaitMs = 500;
const lockNotAvailable = '55P03';

/**
 * A transaction that waits for nobody's lock for long; null: it gave up, and nothing was done. Jobs that waited for one
 * account's swap would keep their places and their connections from everybody else's.
 */
export async function withShortWaits<T>(
  db: Kysely<DB>,
  work: (trx: Transaction<DB>) => Promise<T>,
): Promise<{ readonly result: T } | null> {
  try {
    return await db.transaction().execute(async (trx) => {
      await sql`select set_config('lock_timeout', ${`${longestWaitMs}ms`}, true)`.execute(trx);
      return { result: await work(trx) };
    });
  } catch (error) {
    if ((error as { code?: unknown }).code === lockNotAvailable) return null;
    throw error;
  }
}
