import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { UpkeepTask } from './upkeep-task.ts';

/** Scans that read every organization run this often at most, whatever the tick: what must be quick is told by a change. */
const everyMinutes = 5;

const keyOf = (name: string): string => `upkeep.${name}`;

/**
 * Whether the scan is this process's now: one of all processes gets it. A time well in the future is a clock put back; one a
 * moment ahead is another process that looked at its clock later and was first.
 */
async function claim(db: Database, name: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into steward.installation as i (key, value, updated_at)
    select ${keyOf(name)}, to_jsonb(now), now from (select steward.now() as now offset 0) at
    on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at
     where (i.value #>> '{}')::timestamptz
           not between excluded.updated_at - ${everyMinutes} * interval '1 minute' + interval '1 microsecond' and excluded.updated_at + interval '1 minute'`.execute(
    db,
  );
  return numAffectedRows === 1n;
}

const giveBack = (db: Database, name: string) =>
  sql`delete from steward.installation where key = ${keyOf(name)}`.execute(db);

/**
 * A task that looks at everything, every five minutes at most across processes. The next tick goes on at once if it
 * found as many as it takes in one go (`limit`), or failed.
 */
export function seldom(
  name: string,
  limit: number,
  task: (db: Database, limit: number) => Promise<number>,
): UpkeepTask {
  return async (db) => {
    if (!(await claim(db, name))) return { found: 0 };
    try {
      const found = await task(db, limit);
      if (found >= limit) await giveBack(db, name);
      return { found };
    } catch (error) {
      await giveBack(db, name).catch(() => {});
      throw error;
    }
  };
}
