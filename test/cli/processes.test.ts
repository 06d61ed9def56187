import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

// Each start of a process takes a second by itself; patience for a machine that does ten other things.
vi.setConfig({ testTimeout: 120_000 });

const entry = resolve(import.meta.dirname, '../../bin/zoom-steward.mjs');
const database = useDatabase();
const started: ChildProcess[] = [];

const key = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
const configured = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  DATABASE_URL: database.url,
  STEWARD_KEYS: key,
  ZOOM_ADMIN_CLIENT_ID: 'admin_app',
  ZOOM_ADMIN_CLIENT_SECRETS: 'app-secret',
  STEWARD_PUBLIC_URL: 'https://zoom.example',
  STEWARD_PORT: '0',
});

function start(command: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [entry, command, '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return child;
}

async function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const [out, err, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit'),
  ]);
  return { code: code as number | null, out, err };
}

const line = async (stream: NodeJS.ReadableStream | null, says: RegExp): Promise<string> => {
  for await (const one of createInterface({ input: stream as NodeJS.ReadableStream })) if (says.test(one)) return one;
  throw new Error(`Expected a line like ${says}, got the end`);
};

beforeAll(async () => {
  const migrated = await playCli(['migrate', '--json'], { env: { DATABASE_URL: database.url } });
  expect(migrated).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse(migrated.out)).toMatchObject({ ran: [], queueSchema: expect.anything() });
});

afterAll(async () => {
  for (const child of started) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('worker and server without a database refuse with one sentence', async () => {
  for (const command of ['worker', 'server'])
    expect(await playCli([command])).toEqual({
      code: 1,
      out: '',
      err: `Expected DATABASE_URL, got nothing: zoom-steward ${command} works in the main app's database. Without one, try zoom-steward dev.\n`,
    });
});

test('a worker configured wrongly names every variable, and no value', async () => {
  const { code, err } = await ended(
    start('worker', { ...configured(), STEWARD_KEYS: 'k1:short', STEWARD_CHUNK_SIZE: 'many' }),
  );
  expect(code).toBe(1);
  const { message } = JSON.parse(err).error;
  expect(message).toContain('STEWARD_KEYS: ');
  expect(message).toContain('STEWARD_CHUNK_SIZE: ');
  expect(message).not.toContain('short');
});

test("a process for another queue than the installation's does not start", async () => {
  const { code, err } = await ended(
    start('worker', { ...configured(), STEWARD_QUEUE: 'redis', REDIS_URL: 'redis://127.0.0.1:1' }),
  );
  expect(code).toBe(1);
  expect(err).toContain("This installation's queue is postgres, and STEWARD_QUEUE says redis");
});

test('worker and server stop by themselves after SIGTERM, with exit 0', async () => {
  const worker = start('worker', configured());
  await line(worker.stderr, /^Worker is ready/);
  const workerEnd = Promise.all([text(worker.stdout as NodeJS.ReadableStream), once(worker, 'exit')]);
  const server = start('server', { ...configured(), STEWARD_METRICS_PORT: '0' });
  const { url, probesUrl } = JSON.parse(await line(server.stdout, /^\{/)) as { url: string; probesUrl: string };
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ ok: true });
  // For those who run it, on a port of its own: nothing of it is on the one that is open to the world.
  expect((await fetch(`${url}/metrics`)).status).toBe(404);
  for (const path of ['startupz', 'healthz', 'readyz'])
    expect(await (await fetch(`${probesUrl}/${path}`)).json()).toEqual({ ok: true });
  const numbers = await (await fetch(`${probesUrl}/metrics`)).text();
  expect(numbers).toContain('zoom_steward_connections{state="active"} 0');
  // A server has no queue of its own to look into.
  expect(numbers).not.toContain('zoom_steward_queue_depth{');
  server.kill('SIGTERM');
  worker.kill('SIGTERM');
  expect((await once(server, 'exit'))[0]).toBe(0);
  const [out, [code]] = await workerEnd;
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({ orphans: [], failures: [], wedged: null });
});
