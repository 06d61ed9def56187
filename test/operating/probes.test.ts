import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { upsertFact } from '../../src/db/installation-repository.ts';
import { readFleetFacts } from '../../src/operating/fleet-facts.ts';
import { checkLiveness } from '../../src/operating/health.ts';
import { createLoopDelay } from '../../src/operating/loop-delay.ts';
import { createMetrics } from '../../src/operating/metrics.ts';
import { type LifeState, openProbes } from '../../src/operating/open-probes.ts';
import type { ProbeServer } from '../../src/operating/probe-server.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();
const opened: ProbeServer[] = [];
let state: LifeState = 'starting';
let wedged: string | undefined;

async function open(db: Database): Promise<(path: string) => Promise<{ status: number; body: string }>> {
  const metrics = createMetrics(createTelemetry());
  const sources = { fleet: () => readFleetFacts(db, []), drift: async () => ({}), queues: async () => [] };
  const server = (await openProbes({
    config: { host: '127.0.0.1', port: 0 },
    db,
    metrics: { ...metrics, sources },
    state: () => state,
    wedged: () => wedged,
  })) as ProbeServer;
  opened.push(server);
  return async (path) => {
    const response = await fetch(server.url + path);
    return { status: response.status, body: await response.text() };
  };
}

beforeAll(async () => {
  await migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: 'steward' });
});
afterAll(() => Promise.all(opened.map((server) => server.stop())));

test('a process is started once, ready until it drains, and alive throughout', async () => {
  const ask = await open(database.db);
  const statuses = async (now: LifeState) => {
    state = now;
    return Promise.all(['/startupz', '/readyz', '/healthz'].map(async (path) => (await ask(path)).status));
  };
  expect(await statuses('starting')).toEqual([503, 503, 200]);
  expect(await statuses('ready')).toEqual([200, 200, 200]);
  expect(await statuses('stopping')).toEqual([200, 503, 200]);
  expect((await ask('/readyz')).body).toContain('the process is stopping');
});

test('not ready with the functions of another release, in words that say what to do', async () => {
  state = 'ready';
  await upsertFact(database.db, 'programs', 'another');
  const ask = await open(database.db);
  const { status, body } = await ask('/readyz');
  expect(status).toBe(503);
  expect(body).toContain('zoom-steward migrate');
  await migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: 'steward' });
  expect((await ask('/readyz')).status).toBe(200);
});

test('without the database: alive, not ready, and the numbers of this process still there', async () => {
  state = 'ready';
  const db = createDatabase({ url: 'postgres://nobody:x@127.0.0.1:9/none', max: 1 });
  const ask = await open(db);
  expect((await ask('/healthz')).status).toBe(200);
  expect(await ask('/readyz')).toEqual({ status: 503, body: '{"ok":false,"because":"database: ECONNREFUSED"}\n' });
  const { status, body } = await ask('/metrics');
  expect(status).toBe(200);
  expect(body).toContain('nodejs_eventloop_lag');
  expect(body).not.toContain('zoom_steward_connections{');
  await db.destroy();
});

test('not alive once the watchdog said why', async () => {
  const ask = await open(database.db);
  wedged = 'Worker is wedged: 3 jobs wait in quick';
  expect(await ask('/healthz')).toEqual({
    status: 503,
    body: '{"ok":false,"because":"Worker is wedged: 3 jobs wait in quick"}\n',
  });
  wedged = undefined;
});

test('a blocked event loop is measured, and is not alive from half a lock on', async () => {
  const loop = createLoopDelay();
  // The monitor has to have begun before it can be late.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const until = performance.now() + 300;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(loop.worstMs()).toBeGreaterThan(200);
  expect(checkLiveness({ loop, wedged: () => undefined })).toEqual({ ok: true });
  loop.stop();
  const blocked = { worstMs: () => 6_000, stop: () => {} };
  expect(checkLiveness({ loop: blocked, wedged: () => undefined })).toMatchObject({ ok: false });
});

test('nothing else is answered, and nothing but GET', async () => {
  const ask = await open(database.db);
  expect((await ask('/v1/meetings')).status).toBe(404);
  const response = await fetch(`${opened.at(-1)?.url}/metrics`, { method: 'POST' });
  expect(response.status).toBe(405);
});
