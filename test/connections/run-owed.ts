import { sql } from 'kysely';
import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import type { Database } from '../../src/db/database.ts';
import { jobList } from '../../src/jobs/job-list.ts';
import { createJobServices } from '../../src/jobs/services/create-job-services.ts';
import { defaultGuardRail } from '../../src/reconciliation/guard-rail.ts';
import { performJob } from '../jobs/perform-job.ts';

type Owed = { id: number; job: string; payload: Record<string, string>; key: string };

/**
 * Runs what the outbox owes by now, as queue and worker would, until nothing is left that is due. What fails is an error
 * of the test, or with `forgiving` is lost: the next tick finds it again.
 */
export function createOwedRunner(deps: ConnectionDeps, { forgiving = false }: { readonly forgiving?: boolean } = {}) {
  const { db } = deps;
  const services = createJobServices({
    connections: deps,
    adapter: 'rows',
    guard: { ...defaultGuardRail, share: 1 },
    chunkSize: 500,
    chunkMs: 0,
    zoomShare: 1,
  });
  return async function runOwed(): Promise<string[]> {
    const done: string[] = [];
    for (let round = 0; round < 50; round += 1) {
      const { rows } = await sql<Owed>`
        with due as (delete from steward.outbox where available_at <= steward.now() returning id, job, key, payload)
        select * from due order by id`.execute(db);
      if (rows.length === 0) return done;
      for (const { job, key, payload } of rows) {
        const definition = jobList.find((one) => one.name === job);
        if (!definition) throw new Error(`no such job: ${job}`);
        const outcome = await performJob(db, definition, payload, services);
        done.push(`${job} ${key}: ${outcome.kind}`);
        if (outcome.kind === 'invalid' || (outcome.kind === 'failed' && !forgiving))
          throw new Error(`${job} ${JSON.stringify(payload)}: ${String(outcome.error)}`);
        if (outcome.kind === 'snooze') await owe(db, { job, key, payload }, outcome.ms);
      }
    }
    throw new Error('what is owed does not come to an end');
  };
}

const owe = (db: Database, { job, key, payload }: Omit<Owed, 'id'>, ms: number) =>
  sql`insert into steward.outbox (job, key, payload, created_at, available_at)
      values (${job}, ${key}, ${JSON.stringify(payload)}::jsonb, steward.now(), steward.now() + ${ms} * interval '1 millisecond')`.execute(
    db,
  );
