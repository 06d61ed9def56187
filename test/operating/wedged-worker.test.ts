import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createPostgresBackend, Queue } from 'bullmq';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { until } from '../queues/support.ts';
import { useDatabase } from '../support/database.ts';

// Starting a process takes a second by itself; patience for a machine that does ten other things.
vi.setConfig({ testTimeout: 120_000 });

const entry = resolve(import.meta.dirname, '../../bin/zoom-steward.mjs');
const database = useDatabase();
const children: ChildProcess[] = [];

beforeAll(async () => {
  await migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: 'steward' });
});
afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** What makes a live BullMQ worker take nothing although jobs wait and nothing is paused: a global concurrency of 0. */
async function takeNothing(queue: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: database.url, options: '-c search_path=bullmq' });
  const handle = new Queue(queue, { connection: pool as never }, createPostgresBackend as never);
  await handle.setGlobalConcurrency(0);
  await handle.close();
  await pool.end();
}

test('a worker that takes nothing although jobs wait says so, is not alive, and exits 1', async () => {
  await takeNothing('steward-quick');
  const child = spawn(process.execPath, [entry, 'worker', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      DATABASE_URL: database.url,
      STEWARD_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
      ZOOM_ADMIN_CLIENT_ID: 'admin_app',
      ZOOM_ADMIN_CLIENT_SECRETS: 'app-secret',
      STEWARD_PUBLIC_URL: 'https://zoom.example',
      STEWARD_METRICS_PORT: '0',
      STEWARD_WATCHDOG_MS: '700',
      STEWARD_SHUTDOWN_MS: '5000',
    },
  });
  children.push(child);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  const exited = once(child, 'exit');
  await until('the worker', () => /Worker is ready.*(http\S+)/.test(err));
  const url = /Probes and metrics: (\S+)/.exec(err)?.[1];
  expect((await fetch(`${url}/startupz`)).status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(
    /zoom_steward_queue_depth\{queue="quick",state="waiting"\} \d/,
  );

  // The tick has said something by itself: nothing has to be added for a job to wait.
  expect(await exited).toEqual([1, null]);
  expect(err).toMatch(/Worker is wedged: \d+ jobs? waits? in quick, 0 of 4 slots are in use, nothing is paused/);
  expect(err).toMatch(/"level":"error".*"queue":"quick".*worker is wedged/);
  expect(JSON.parse(out)).toMatchObject({ orphans: [], wedged: expect.stringContaining('quick') });
});
