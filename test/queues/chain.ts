import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { insertOutbox } from '../../src/db/outbox-repository.ts';
import { jobList } from '../../src/jobs/job-list.ts';
import type { JobServices } from '../../src/jobs/services/job-services.ts';
import { createLogger } from '../../src/logger.ts';
import { assembleWorker, type WorkerParts } from '../../src/queues/assemble-worker.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry, type Telemetry } from '../../src/telemetry.ts';
import { services } from '../jobs/perform-job.ts';
import { shortTimes } from './support.ts';

/** A long run that only tests have: a row, a cursor, and who took which step. */
export async function createChainTable(db: Database): Promise<void> {
  await sql`create table public.chain (id uuid primary key, done int not null default 0, total int not null)`.execute(
    db,
  );
  await sql`create table public.chain_step (id uuid, step int, pid int, slice uuid, primary key (id, step))`.execute(
    db,
  );
}

/** Begins a chain and owes its first slice, in one transaction. */
export async function beginChain(db: Database, total: number): Promise<string> {
  const id = randomUUID();
  await db.transaction().execute(async (trx) => {
    await sql`insert into public.chain (id, total) values (${id}, ${total})`.execute(trx);
    await insertOutbox(trx, {
      job: 'reconcile-organization',
      key: id,
      payload: { organizationId: randomUUID(), runId: id },
    });
  });
  return id;
}

export async function chainState(db: Database, id: string): Promise<{ done: number; pids: number[]; slices: number }> {
  const { rows } = await sql<{ done: number; pids: number[] | null; slices: number }>`
    select chain.done, array_agg(distinct step.pid) as pids, count(distinct step.slice)::int as slices
      from public.chain left join public.chain_step step using (id) where id = ${id} group by chain.done`.execute(db);
  return { done: rows[0]?.done ?? -1, pids: rows[0]?.pids ?? [], slices: rows[0]?.slices ?? 0 };
}

/** Steps of a chain until the slice is over or somebody says stop: each step one transaction. */
function chainServices(db: Database, stepMs: number, over: Partial<JobServices> = {}): JobServices {
  return services({
    advanceRun: async (runId, { sliceMs, signal }) => {
      const slice = randomUUID();
      const end = performance.now() + sliceMs;
      for (;;) {
        const state = await db.transaction().execute(async (trx) => {
          const { rows } = await sql<{ done: number; total: number }>`
            update public.chain set done = done + 1 where id = ${runId} and done < total returning done, total`.execute(
            trx,
          );
          const [row] = rows;
          if (!row) return 'done' as const;
          await sql`insert into public.chain_step values (${runId}, ${row.done}, ${process.pid}, ${slice})`.execute(
            trx,
          );
          return row.done === row.total ? ('done' as const) : ('more' as const);
        });
        if (state === 'done' || signal.aborted || performance.now() >= end) return { state, counts: {} };
        await new Promise((resolve) => setTimeout(resolve, stepMs));
      }
    },
    ...over,
  });
}

export type ChainWorkerOptions = {
  readonly url: string;
  /** null or absent: the queue is on the same Postgres */
  readonly redisUrl?: string | null;
  readonly prefix: string;
  readonly stepMs?: number;
  readonly sliceMs?: number;
  readonly shutdownMs?: number;
  readonly over?: Partial<JobServices>;
  readonly outboxPollMs?: number;
  readonly telemetry?: Telemetry;
  readonly parts?: Partial<WorkerParts>;
};

/** A worker process as compose makes it, with chains for runs. Short times, no tick. */
export function chainWorker(options: ChainWorkerOptions): WorkerProcess {
  const redisUrl = options.redisUrl ?? null;
  const db = createDatabase({ url: options.url, max: 6 });
  return assembleWorker({
    config: {
      queue: redisUrl === null ? 'postgres' : 'redis',
      databaseUrl: new Secret(options.url),
      redisUrl: redisUrl === null ? null : new Secret(redisUrl),
      queuePrefix: options.prefix,
      concurrency: { quick: 1, bulk: 1, zoom: 1 },
      sliceMs: options.sliceMs ?? 100,
      outboxPollMs: options.outboxPollMs ?? 100,
      tickMs: 600_000,
      shutdownMs: options.shutdownMs ?? 8_000,
      events: 'queue' as const,
    },
    db,
    services: chainServices(db, options.stepMs ?? 5, options.over),
    jobs: jobList,
    telemetry: options.telemetry ?? createTelemetry(),
    log: createLogger({ level: 'silent' }),
    close: () => db.destroy(),
    times: shortTimes,
    drainMs: 150,
    ...options.parts,
  });
}
