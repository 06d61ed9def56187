import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { scrub } from '../scrub.ts';
import type { Telemetry } from '../telemetry.ts';

/**
 * Owes one `reconcile-due` for all processes together: whoever moves the row on first says it, in the same
 * statement. No scheduler in the queue, so there is none to lose when the queue is wiped, and no leader.
 * @returns whether this call said it
 */
export async function tick(db: Database, everyMs: number): Promise<boolean> {
  const { rows } = await sql<{ said: boolean }>`
    with due as (
      insert into steward.installation as fact (key, value, updated_at)
      values ('tick', '{}', steward.now())
      on conflict (key) do update set updated_at = excluded.updated_at
       -- also when the clock went back, as demo and tests do; by less than a period it is only
       -- somebody who read the clock before us and waited for our row
       where abs(extract(epoch from excluded.updated_at - fact.updated_at)) * 1000 >= ${everyMs}
      returning 1),
    said as (
      insert into steward.outbox (job, key, payload, created_at, available_at)
      select 'reconcile-due', 'due', '{}'::jsonb, steward.now(), steward.now() from due
       where not exists (select from steward.outbox where job = 'reconcile-due')
      returning pg_notify('steward_outbox', ''))
    select exists (select from said) as said`.execute(db);
  return rows[0]?.said ?? false;
}

export type Ticker = { start(): void; stop(): Promise<void> };

/** Asks every `everyMs` whether a tick is due. */
export function createTicker({
  db,
  everyMs,
  telemetry,
}: {
  db: Database;
  everyMs: number;
  telemetry: Telemetry;
}): Ticker {
  let timer: NodeJS.Timeout | undefined;
  let asking: Promise<void> = Promise.resolve();
  const ask = async (): Promise<void> => {
    try {
      await tick(db, everyMs);
    } catch (error) {
      telemetry.emit('upkeep', { task: 'tick', found: 0, failed: scrub((error as Error).message) });
    }
  };
  return {
    start() {
      const next = (): void => {
        asking = ask();
        timer = setTimeout(next, everyMs);
      };
      next();
    },
    async stop() {
      clearTimeout(timer);
      await asking;
    },
  };
}
