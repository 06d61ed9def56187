import { sql } from 'kysely';
import type { Database } from '../db/database.ts';

/** From when on bulk work gives way, ms. */
export type PressureLimits = {
  /** a replica applies what was written so long ago */
  readonly replicaLagMs: number;
  /** somebody has been waiting for a lock in this database so long */
  readonly lockWaitMs: number;
};

export const defaultPressureLimits: PressureLimits = { replicaLagMs: 10_000, lockWaitMs: 2_000 };

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/**
 * Why bulk work should give way now, as a sentence for people; null: nothing. What this role may not see
 * (another role's replication, without `pg_read_all_stats`) counts as nothing.
 */
export async function findPressure(db: Database, limits: PressureLimits): Promise<string | null> {
  const { rows } = await sql<{ replicaLagMs: number | null; lockWaitMs: number | null }>`
    select (select max(extract(epoch from replay_lag) * 1000)::float8 from pg_stat_replication) as "replicaLagMs",
           (select max(extract(epoch from clock_timestamp() - l.waitstart) * 1000)::float8
              from pg_locks l join pg_stat_activity a on a.pid = l.pid and a.datname = current_database()
             where not l.granted) as "lockWaitMs"`.execute(db);
  const { replicaLagMs, lockWaitMs } = rows[0] ?? { replicaLagMs: null, lockWaitMs: null };
  if (replicaLagMs !== null && replicaLagMs > limits.replicaLagMs)
    return `a replica is ${seconds(replicaLagMs)} behind`;
  if (lockWaitMs !== null && lockWaitMs > limits.lockWaitMs)
    return `somebody has been waiting ${seconds(lockWaitMs)} for a lock`;
  return null;
}
