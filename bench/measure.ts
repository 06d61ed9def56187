import type { Database } from '../src/db/database.ts';
import { startOrganizationRun } from '../src/db/run-repository.ts';
import { seconds } from './limits.ts';
import { type BenchWorker, startBenchWorker } from './worker.ts';
import { type BenchOrganization, benchAccountId } from './world.ts';

/** One result, as `--json` prints it. Fields that a work does not have are null. */
export type BenchResult = {
  readonly work: string;
  readonly members: number;
  readonly ours: { readonly s: number };
  readonly limit: { readonly s: number } | null;
  readonly rival: { readonly name: string; readonly s: number; readonly members: number } | null;
  /** ours / limit */
  readonly ratioToLimit: number | null;
  /** rival / ours, per member or event type */
  readonly timesFaster: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly peakRssMb: number | null;
  /** what was done, and what each side does not do */
  readonly notes: string;
};

export type BenchInput = {
  readonly db: Database;
  readonly databaseUrl: string;
  /** the queue of the worker, and of the rival: this Redis; without it the same Postgres */
  readonly redisUrl?: string;
  readonly members: number;
  readonly sample: number;
};

/** Zoom account of the organization that is seeded without a prefix of its own. */
export const account = `${benchAccountId}_b`;

/** Rounded to so many digits. */
export const round = (value: number, digits = 3): number => Number(value.toFixed(digits));

/** The value below which this share of the sorted ones lies. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** p50 and p99 of so many milliseconds. */
export function summary(milliseconds: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  return { p50Ms: round(percentile(sorted, 0.5)), p99Ms: round(percentile(sorted, 0.99)) };
}

/** A field that a work leaves out is null. */
export function resultOf(
  known: Pick<BenchResult, 'work' | 'members' | 'ours' | 'notes'> & Partial<BenchResult>,
): BenchResult {
  return {
    limit: null,
    rival: null,
    ratioToLimit: null,
    timesFaster: null,
    p50Ms: null,
    p99Ms: null,
    peakRssMb: null,
    ...known,
  };
}

/** A worker process on the queue of this benchmark. */
export function startWorker({ databaseUrl, redisUrl }: BenchInput): Promise<BenchWorker> {
  return startBenchWorker(databaseUrl, redisUrl ? { REDIS_URL: redisUrl } : {});
}

/** What the queue of this benchmark is called in notes. */
export const queueName = ({ redisUrl }: BenchInput): string => (redisUrl ? 'Redis' : 'Postgres');

/** Writes the run that the organization owes. */
export function startRun(db: Database, organization: BenchOrganization, cause: string): Promise<string> {
  return db
    .transaction()
    .execute((trx) =>
      startOrganizationRun(trx, { connectionId: organization.connectionId, cause, actor: 'operator:bench' }),
    );
}

/** Longer than any run of a benchmark takes: a million members on a crowded machine took three minutes. */
const longestRunMs = 10 * 60_000;

/** Waits until the worker has finished the run, by the database. */
async function waitForRun(db: Database, runId: string, everyMs = 20): Promise<void> {
  for (const until = performance.now() + longestRunMs; ; ) {
    const run = await db
      .selectFrom('steward.runs')
      .select(['state', 'error'])
      .where('id', '=', runId)
      .executeTakeFirstOrThrow();
    if (run.state === 'done') return;
    if (run.state !== 'queued' && run.state !== 'running')
      throw new Error(`The run ended as ${run.state}: ${run.error ?? ''}`);
    if (performance.now() > until) throw new Error(`The run was not done after ${longestRunMs / 60_000} minutes`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Starts the run that the organization owes and waits for its end. @returns seconds */
export function runToItsEnd(db: Database, organization: BenchOrganization, cause: string): Promise<number> {
  return seconds(async () => waitForRun(db, await startRun(db, organization, cause)));
}
