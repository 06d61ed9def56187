import { sql } from 'kysely';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { migratePostgresQueue } from '../../src/queues/postgres-backend.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry, type TelemetryEvents } from '../../src/telemetry.ts';
import { playCli } from '../cli/play-cli.ts';
import { useDatabase } from '../support/database.ts';
import { beginChain, chainState, chainWorker, createChainTable } from './chain.ts';
import { until } from './support.ts';

const promisedMs = 5_000;
const database = useDatabase();
let worker: WorkerProcess | undefined;

beforeAll(async () => {
  await migratePostgresQueue(new Secret(database.url));
  await createChainTable(database.db);
});
afterEach(() => worker?.stop());

const steward = async (...line: string[]): Promise<number> => {
  const { code } = await playCli([...line, '--reason', 'trying', '--as', 'jo'], {
    env: { DATABASE_URL: database.url },
  });
  expect(code).toBe(0);
  return performance.now();
};

test('a worker at work stops within five seconds of "pause all", turns no backlog round, and goes on within five of "resume all"', async () => {
  const telemetry = createTelemetry();
  const started: string[] = [];
  const outcomes: TelemetryEvents['job_finished'][] = [];
  telemetry.on('job_started', ({ job }) => started.push(job));
  telemetry.on('job_finished', (event) => outcomes.push(event));
  const over = {
    reconcileMember: async () => ({ state: 'unchanged', counts: {} }) as const,
    findLookup: async () => null,
  };
  worker = chainWorker({ url: database.url, prefix: 'pa', telemetry, stepMs: 1, sliceMs: 20, over });
  await worker.start();
  const id = await beginChain(database.db, 1_000_000);
  await until('some steps', async () => (await chainState(database.db, id)).done > 20);

  const pausedAt = await steward('pause', 'all');
  const stepped = async (): Promise<number> => (await chainState(database.db, id)).done;
  await until('a while without a step', async () => {
    const before = await stepped();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return (await stepped()) === before;
  });
  expect(performance.now() - pausedAt).toBeLessThan(promisedMs);
  const [done, begun] = [await stepped(), started.length];
  await sql`select steward.changed('member', gen_random_uuid()) from generate_series(1, 40)`.execute(database.db);
  await until('the backlog in the queue', async () => {
    const { rows } = await sql`select 1 from steward.outbox`.execute(database.db);
    return rows.length === 0 && started.length > begun;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  // One slot each for quick and bulk, held.
  expect(started.length - begun).toBeLessThanOrEqual(2);

  const resumedAt = await steward('resume', 'all');
  await until('the next step', async () => (await stepped()) > done, 2 * promisedMs);
  expect(performance.now() - resumedAt).toBeLessThan(promisedMs);
  await until('the backlog', () => started.filter((job) => job === 'reconcile-member').length >= 40);
  expect(outcomes.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
  await sql`update public.chain set total = done where id = ${id}`.execute(database.db);
});
