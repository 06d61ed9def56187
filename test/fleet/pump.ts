import { sql } from 'kysely';
import { pino } from 'pino';
import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import { runJob } from '../../src/jobs/contract/run-job.ts';
import { jobList } from '../../src/jobs/job-list.ts';
import { createJobServices } from '../../src/jobs/services/create-job-services.ts';
import { findGrantsDue, findVerificationsDue } from '../../src/jobs/upkeep/looks-due.ts';
import { upkeepTasks } from '../../src/jobs/upkeep/tasks.ts';
import { defaultGuardRail } from '../../src/reconciliation/guard-rail.ts';
import { each } from './fleet-world.ts';

type Owed = { readonly job: string; readonly key: string; readonly payload: Record<string, unknown> };

export type Pump = {
  /** What a worker does until nothing is due: the tick's looks, then whatever the outbox owes. */
  run(): Promise<void>;
  /** jobs done, by name; `failed`: those that ended with an error, and were put off */
  readonly jobs: Readonly<Record<string, number>>;
};

/**
 * A worker in virtual time: the tick's own queries, the outbox and the jobs, without a queue between them – what is put off
 * waits in the outbox, by the clock of the database. Walks of directories are left out: they are no part of what is tried.
 */
export function createPump(deps: ConnectionDeps): Pump {
  const { db } = deps;
  const services = createJobServices({
    connections: deps,
    adapter: 'rows',
    guard: defaultGuardRail,
    chunkSize: 1_000,
    chunkMs: 0,
    zoomShare: 1,
  });
  const jobDeps = { db, log: pino({ level: 'silent' }), services, sliceMs: 1_000, jobs: jobList };
  const jobs: Record<string, number> = {};
  const putOff = (owed: Owed, ms: number) =>
    sql`
      insert into steward.outbox (job, key, payload, created_at, available_at)
      values (${owed.job}, ${owed.key}, ${JSON.stringify(owed.payload)}::jsonb, steward.now(), steward.now() + ${ms} * interval '1 millisecond')`.execute(
      db,
    );
  const perform = async (owed: Owed): Promise<void> => {
    const outcome = await runJob(jobDeps, {
      name: owed.job,
      id: 'fleet',
      key: owed.key,
      attempt: 1,
      payload: owed.payload,
      signal: new AbortController().signal,
    });
    jobs[owed.job] = (jobs[owed.job] ?? 0) + 1;
    if (outcome.kind === 'snooze') await putOff(owed, outcome.ms);
    if (outcome.kind === 'invalid') throw outcome.error;
    if (outcome.kind === 'failed') {
      jobs['failed'] = (jobs['failed'] ?? 0) + 1;
      if (outcome.retryInMs === null) throw outcome.error;
      await putOff(owed, outcome.retryInMs);
    }
  };
  return {
    jobs,
    async run() {
      await upkeepTasks['deadlines_started']?.(db, services);
      await findVerificationsDue(db);
      await findGrantsDue(db);
      for (;;) {
        const { rows } = await sql<Owed>`
          with due as (delete from steward.outbox where available_at <= steward.now() returning id, job, key, payload)
          select distinct on (job, key) job, key, payload from due order by job, key, id desc`.execute(db);
        if (rows.length === 0) return;
        await each(
          rows.filter(({ job }) => job !== 'sync-zoom-directory'),
          perform,
        );
      }
    },
  };
}
