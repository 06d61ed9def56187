import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { currentTrace } from '../../trace-context.ts';
import type { UpkeepResult } from '../services/job-services.ts';

/**
 * Owes a job for every row of `found` (columns `key text`, `payload jsonb`), unless the outbox has that
 * very one already. One statement, however many rows.
 */
export async function owe(db: Database, job: string, found: RawBuilder<unknown>): Promise<UpkeepResult> {
  const trace = currentTrace();
  const { rows } = await sql<{ found: number }>`
    with found as (${found}), owed as (
      insert into steward.outbox (job, key, payload, trace, created_at, available_at)
      select ${job}, found.key, found.payload, ${trace === null ? null : JSON.stringify(trace)}::jsonb, steward.now(), steward.now()
        from found
       where not exists (select from steward.outbox waiting where waiting.job = ${job} and waiting.key = found.key)
      returning 1)
    select count(*)::int as found, pg_notify('steward_outbox', '') from owed`.execute(db);
  return { found: rows[0]?.found ?? 0 };
}

/** The same for ids in hand; `name` is their name in the payload. */
export function oweEach(db: Database, job: string, name: string, ids: readonly string[]): Promise<UpkeepResult> {
  if (ids.length === 0) return Promise.resolve({ found: 0 });
  return owe(
    db,
    job,
    sql`select distinct id as key, jsonb_build_object(${name}::text, id) as payload from unnest(${[...ids]}::text[]) id`,
  );
}
