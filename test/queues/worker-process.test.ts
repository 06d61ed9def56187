import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { StewardError } from '../../src/errors.ts';
import { migratePostgresQueue } from '../../src/queues/postgres-backend.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry, type TelemetryEvents } from '../../src/telemetry.ts';
import { useDatabase } from '../support/database.ts';
import { onBothBackends } from './both-backends.ts';
import { beginChain, type ChainWorkerOptions, chainState, chainWorker, createChainTable } from './chain.ts';
import { signal, until } from './support.ts';

// Patience for a machine that does ten other things: what is judged is the order of events.
vi.setConfig({ testTimeout: 120_000 });

const database = useDatabase();
let prefixes = 0;
let prefix = '';
let redisUrl: string | null = null;
const workers: WorkerProcess[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  await migratePostgresQueue(new Secret(database.url));
  await createChainTable(database.db);
});

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  for (const child of children.splice(0)) await ended(child, 'SIGKILL');
});

const freshPrefix = (): string => {
  prefixes += 1;
  prefix = `w${prefixes}`;
  return prefix;
};

async function started(over: Partial<ChainWorkerOptions> = {}): Promise<WorkerProcess> {
  const worker = chainWorker({ url: database.url, redisUrl, prefix, ...over });
  workers.push(worker);
  await worker.start();
  return worker;
}

function ended(child: ChildProcess, how: NodeJS.Signals): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve(child.exitCode);
    child.once('exit', (code) => resolve(code));
    child.kill(how);
  });
}

async function startedChild(stepMs: number, dieAt?: string): Promise<ChildProcess & { log: () => string }> {
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, 'fixtures/worker.ts'),
      database.url,
      redisUrl ?? '-',
      prefix,
      String(stepMs),
      ...(dieAt === undefined ? [] : [dieAt]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  children.push(child);
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  if (dieAt === undefined)
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', () => reject(new Error(`The worker ended before it was ready: ${text}`)));
    });
  return Object.assign(child, { log: () => text });
}

const complete = (id: string, total: number) =>
  until('the end of the chain', async () => (await chainState(database.db, id)).done === total);

const finishes = (telemetry = createTelemetry()) => {
  const seen: TelemetryEvents['job_finished'][] = [];
  const starts: number[] = [];
  // Not the tick, which every process says when it starts.
  telemetry.on('job_finished', (event) => event.job === 'reconcile-due' || seen.push(event));
  telemetry.on('job_started', (event) => event.job === 'reconcile-due' || starts.push(event.attempt));
  return { telemetry, seen, starts };
};

onBothBackends('a worker process', (queue) => {
  beforeAll(() => {
    redisUrl = queue.redisUrl();
  });

  describe('a long run', () => {
    test('is a chain of slices, each handed over through the outbox', async () => {
      freshPrefix();
      const { telemetry, seen } = finishes();
      await started({ telemetry, sliceMs: 40 });
      const id = await beginChain(database.db, 40);
      await complete(id, 40);
      const { slices } = await chainState(database.db, id);
      expect(slices).toBeGreaterThanOrEqual(4);
      await until('its last job', () => seen.length >= slices);
      expect(seen.every(({ outcome }) => outcome === 'done')).toBe(true);
      const { rows } = await sql`select 1 from steward.outbox`.execute(database.db);
      expect(rows).toEqual([]);
    });

    test('takes turns with others: a small one does not wait for a big one', async () => {
      freshPrefix();
      await started({ sliceMs: 40, stepMs: 2 });
      const big = await beginChain(database.db, 4_000);
      await until('the big one to begin', async () => (await chainState(database.db, big)).done > 0);
      const small = await beginChain(database.db, 5);
      await complete(small, 5);
      expect((await chainState(database.db, big)).done).toBeLessThan(4_000);
      await sql`update public.chain set total = done + 1 where id = ${big}`.execute(database.db);
      await until('the end of the big one', async () => {
        const { rows } = await sql<{
          over: boolean;
        }>`select done = total as over from public.chain where id = ${big}`.execute(database.db);
        return rows[0]?.over === true;
      });
    });
  });

  describe('stopping', () => {
    test('in the middle of a slice: the place is kept, no attempt is used, another process goes on', async () => {
      freshPrefix();
      const first = finishes();
      const worker = await started({ telemetry: first.telemetry, sliceMs: 60_000 });
      const id = await beginChain(database.db, 150);
      await until('some steps', async () => (await chainState(database.db, id)).done >= 10);
      const result = await worker.stop();
      expect(result).toEqual({ orphans: [], failures: [] });
      expect(first.seen.map(({ outcome }) => outcome)).toEqual(['done']);
      const between = await chainState(database.db, id);
      expect(between.done).toBeLessThan(150);
      const second = finishes();
      await started({ telemetry: second.telemetry, stepMs: 0 });
      await complete(id, 150);
      expect(second.starts.every((attempt) => attempt === 1)).toBe(true);
    });

    test('a job that throws when told to stop goes back unharmed', async () => {
      freshPrefix();
      const first = finishes();
      const begun = signal();
      const worker = await started({
        telemetry: first.telemetry,
        over: {
          advanceRun: (_id, { signal: stop }) =>
            new Promise((_, reject) => {
              begun.fire();
              stop.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
            }),
        },
      });
      const id = await beginChain(database.db, 1);
      await begun.promise;
      expect(await worker.stop()).toEqual({ orphans: [], failures: [] });
      expect(first.seen.map(({ outcome }) => outcome)).toEqual(['shutdown']);
      const second = finishes();
      await started({ telemetry: second.telemetry });
      await complete(id, 1);
      expect(second.starts).toEqual([1]);
    });

    test('a job that does not listen is named as an orphan at the deadline, and goes on elsewhere', async () => {
      freshPrefix();
      const begun = signal();
      const worker = await started({
        shutdownMs: 600,
        over: {
          advanceRun: () => {
            begun.fire();
            return new Promise(() => {});
          },
        },
      });
      const id = await beginChain(database.db, 3);
      await begun.promise;
      const startedAt = performance.now();
      const { orphans } = await worker.stop();
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      expect(orphans).toMatchObject([{ queue: 'bulk', name: 'reconcile-organization', key: id }]);
      await started();
      await complete(id, 3);
    });

    test('forced, it does not wait', async () => {
      freshPrefix();
      const begun = signal();
      const worker = await started({
        shutdownMs: 60_000,
        over: {
          advanceRun: () => {
            begun.fire();
            return new Promise(() => {});
          },
        },
      });
      const id = await beginChain(database.db, 1);
      await begun.promise;
      const stopping = worker.stop();
      worker.force();
      const startedAt = performance.now();
      expect((await stopping).orphans).toHaveLength(1);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      await started();
      await complete(id, 1);
    });

    test('waits for what is on the wire', async () => {
      freshPrefix();
      const answered = signal();
      const asked = signal();
      const worker = await started({
        parts: {
          settle: () => {
            asked.fire();
            return answered.promise;
          },
        },
      });
      let stopped = false;
      const stopping = worker.stop().then(() => {
        stopped = true;
      });
      await asked.promise;
      await new Promise((resolve) => setImmediate(resolve));
      expect(stopped).toBe(false);
      answered.fire();
      await stopping;
    });
  });

  describe('starting', () => {
    test('is refused by one sentence, and nothing stays open', async () => {
      freshPrefix();
      const worker = chainWorker({
        url: database.url,
        redisUrl,
        prefix,
        parts: {
          preflight: () => [
            async () => {
              throw new StewardError('schema_older', 'The database lacks 0002; run "zoom-steward migrate".');
            },
          ],
        },
      });
      await expect(worker.start()).rejects.toThrow('run "zoom-steward migrate"');
      expect(worker.state()).toBe('stopped');
    });
  });

  describe('dying', () => {
    test('kill -9 in the middle of a slice: another process goes on, in the time of a lock', async () => {
      freshPrefix();
      const child = await startedChild(20);
      const id = await beginChain(database.db, 80);
      await until('some steps', async () => (await chainState(database.db, id)).done >= 5);
      await ended(child, 'SIGKILL');
      const { done: before } = await chainState(database.db, id);
      expect(before).toBeLessThan(80);
      const killedAt = performance.now();
      await started({ stepMs: 0 });
      await until('the next step', async () => (await chainState(database.db, id)).done > before);
      // Lock 1 s, looked at every 0.25 s: about 1.5 s on an idle machine. The defaults of BullMQ would take a minute.
      expect(performance.now() - killedAt).toBeLessThan(10_000);
      await complete(id, 80);
      expect((await chainState(database.db, id)).pids.sort()).toEqual([child.pid, process.pid].sort());
    });

    test.each(['claimed', 'published'])('kill -9 of the relay when it has "%s": the job is not lost', async (step) => {
      freshPrefix();
      const id = await beginChain(database.db, 5);
      const child = await startedChild(1, step);
      expect(await new Promise((resolve) => child.once('exit', (_code, killed) => resolve(killed)))).toBe('SIGKILL');
      expect((await sql`select 1 from steward.outbox`.execute(database.db)).rows).toHaveLength(1);
      // Its lease of half a minute would end by itself; the clock of the database says it has.
      await sql`update steward.outbox set lease_until = steward.now() - interval '1 second'`.execute(database.db);
      const { telemetry, seen } = finishes();
      await started({ telemetry });
      await complete(id, 5);
      await until(
        'every delivery',
        async () => (await sql`select 1 from steward.outbox`.execute(database.db)).rows.length === 0,
      );
      expect(seen.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
    });

    test('told to stop, it ends by itself with 0: nothing is left open or behind', async () => {
      freshPrefix();
      const child = await startedChild(20);
      const id = await beginChain(database.db, 80);
      await until('some steps', async () => (await chainState(database.db, id)).done >= 3);
      expect(await ended(child, 'SIGTERM')).toBe(0);
      expect(child.log()).toBe('{"orphans":[],"failures":[]}');
      await started({ stepMs: 0 });
      await complete(id, 80);
    });
  });
});
