import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { insertOrganization } from '../connections/organization.ts';
import { visit } from '../simulator/visitor.ts';
import { useDatabase } from '../support/database.ts';
import { startZoomByName, type ZoomByName } from '../zoom/zoom-by-name.ts';
import { playCli } from './play-cli.ts';

// Each start of a process takes a second by itself; patience for a machine that does ten other things.
vi.setConfig({ testTimeout: 120_000 });

const entry = resolve(import.meta.dirname, '../../bin/zoom-steward.mjs');
const database = useDatabase();
const started: ChildProcess[] = [];
let zoom: ZoomByName;

const key = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
const configured = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  DATABASE_URL: database.url,
  STEWARD_KEYS: key,
  ZOOM_ADMIN_CLIENT_ID: 'sim_admin_app',
  ZOOM_ADMIN_CLIENT_SECRETS: 'sim-admin-secret',
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
  zoom = await startZoomByName({ profile: 'kind' });
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
  await zoom.stop();
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

/** What a Zoom admin does with a link, in a browser that is asked to come to `server` by its public name. */
async function approve(server: string, link: string): Promise<void> {
  const begun = await visit(`${server}${new URL(link).pathname}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
  const back = zoom.simulator.control.consent({ authorizeUrl: begun.headers.location ?? '', user: 'zu_admin' });
  if (back.kind !== 'redirected') throw new Error(back.why);
  const { pathname, search } = new URL(back.location);
  const cookie = (begun.headers['set-cookie'] ?? []).map((one) => one.split(';')[0]).join('; ');
  expect((await visit(`${server}${pathname}${search}`, { headers: { cookie } })).status).toBe(303);
}

test('worker and server as in production, with Zoom by its own names, take a consent as far as the directory, and stop after SIGTERM', async () => {
  const { db } = database;
  const organization = await insertOrganization(db, { users: 3 });
  zoom.simulator.control.addUsers({
    accountId: 'acc_simulator',
    users: organization.people.map(({ email }, n) => ({ id: `zu_own_${n}`, email })),
  });
  zoom.simulator.control.changeUser({
    accountId: 'acc_simulator',
    userId: 'zu_admin',
    change: { email: `it@${organization.domain}` },
  });
  const env = { ...configured(), ...zoom.environment(), STEWARD_OUTBOX_POLL_MS: '50', STEWARD_TICK_MS: '500' };
  const worker = start('worker', env);
  await line(worker.stderr, /^Worker is ready/);
  const workerEnd = Promise.all([text(worker.stdout as NodeJS.ReadableStream), once(worker, 'exit')]);
  const server = start('server', { ...env, STEWARD_METRICS_PORT: '0' });
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

  const made = await playCli(['connect-link', organization.id, '--reason', 'test', '--json'], { env: configured() });
  await approve(url, JSON.parse(made.out).url);
  // The worker asked who consented, what they may do, and walked the three states of the directory.
  await zoom.simulator.control.waitForCalls({ endpoint: 'users.list', count: 3 });
  const grant = await db.selectFrom('steward.grants').select('api_base').executeTakeFirstOrThrow();
  expect(grant).toEqual({ api_base: 'https://api-eu.zoom.us' });
  expect(zoom.simulator.judge()).toMatchObject({ ok: true, findings: [] });

  server.kill('SIGTERM');
  worker.kill('SIGTERM');
  expect((await once(server, 'exit'))[0]).toBe(0);
  const [out, [code]] = await workerEnd;
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({ orphans: [], failures: [], wedged: null });
});
