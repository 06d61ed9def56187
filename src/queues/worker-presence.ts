import { sql } from 'kysely';
import type { Database } from '../db/database.ts';

const lockName = `hashtextextended('steward.worker', 0)`;

/**
 * What a worker's LISTEN connection holds for as long as it lives: shared among workers, and not to be had while the
 * queue is moved. The server ends it with the connection, so nobody who died is taken for alive.
 */
export const takePresence = `select pg_try_advisory_lock_shared(${lockName}) as taken`;

/**
 * Does `work` while no worker is there and none can come; undefined if one is. The lock is on a connection of the
 * pool that `work` does not get.
 */
export function withoutWorkers<T>(db: Database, work: () => Promise<T>): Promise<T | undefined> {
  return db.connection().execute(async (own) => {
    const { rows } = await sql<{ taken: boolean }>`select pg_try_advisory_lock(${sql.raw(lockName)}) as taken`.execute(
      own,
    );
    if (rows[0]?.taken !== true) return undefined;
    try {
      return await work();
    } finally {
      await sql`select pg_advisory_unlock(${sql.raw(lockName)})`.execute(own);
    }
  });
}
