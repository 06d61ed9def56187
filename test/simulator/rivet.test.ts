import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startZoomByName, type ZoomByName } from '../zoom/zoom-by-name.ts';
import { admin, visit } from './visitor.ts';

// A client that shares no code, and no reading of the documentation, with ours: Zoom's own. It has its base URL as a
// constant, so it comes by name; port 443 is led to the simulator's (test/zoom/fixtures/resolve-zoom.ts).
const secret = 'secret-of-the-webhooks';
let zoom: ZoomByName;
let rivet: ChildProcess;
let lines: AsyncIterator<string>;
let reader: Interface;
let url = '';

const next = async (): Promise<Record<string, unknown>> => {
  const { value, done } = await lines.next();
  if (done) throw new Error('Expected another line of rivet, got its end');
  return JSON.parse(value) as Record<string, unknown>;
};
const ask = (what: string): Promise<Record<string, unknown>> => {
  rivet.stdin?.write(`${what}\n`);
  return next();
};

/** Rivet keeps its connections, also to the token endpoint: that is a rule of ours, and not of Zoom's. */
const findings = () => zoom.simulator.judge().findings.filter(({ rule }) => rule !== 'reused_connection');

beforeAll(async () => {
  // Rivet wants a whole answer, and checks signatures over JSON that it has written again (zoom-api, Libraries).
  zoom = await startZoomByName({ profile: 'kind', toggles: { rate_limits: 'on', old_access_token: 'ends' } });
  rivet = spawn(process.execPath, [resolve(import.meta.dirname, 'fixtures/rivet.ts')], {
    env: {
      PATH: process.env['PATH'],
      ...zoom.environment(),
      RIVET_CLIENT_ID: admin.clientId,
      RIVET_CLIENT_SECRET: admin.secret,
      RIVET_WEBHOOK_SECRET: secret,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  reader = createInterface({ input: rivet.stdout as NodeJS.ReadableStream });
  lines = reader[Symbol.asyncIterator]();
  url = String((await next())['url']);
});
afterAll(async () => {
  const ended = once(rivet, 'exit');
  rivet.stdin?.end();
  await ended;
  reader.close();
  await zoom.stop();
});

test('completes OAuth, lists every user, makes a meeting, and refreshes', async () => {
  const { control } = zoom.simulator;
  const install = await visit(`${url}/zoom/oauth/install`);
  const back = control.consent({ authorizeUrl: install.headers.location ?? '', user: 'zu_admin' });
  if (back.kind !== 'redirected') throw new Error(back.why);
  const { pathname, search } = new URL(back.location);
  const cookie = (install.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');
  expect((await visit(`${url}${pathname}${search}`, { headers: { cookie } })).status).toBe(200);

  expect(await ask('users')).toMatchObject({ ids: expect.arrayContaining(['zu_owner', 'zu_admin', 'zu_1']) });
  const made = await ask('meeting');
  expect(made).toEqual({ statusCode: 201, id: expect.any(Number), joinUrl: expect.stringMatching(/^https:/) });
  expect(control.meetings()).toMatchObject([{ id: made['id'], hostId: 'zu_1' }]);
  expect(await ask('expire')).toEqual({ expired: true });
  expect((await ask('users'))['ids']).toHaveLength(272);
  const asked = zoom.simulator.ledger().map(({ endpoint }) => endpoint);
  expect(asked).toEqual([
    'oauth.exchange',
    ...Array.from({ length: 3 }, () => 'users.list'),
    'meetings.create',
    'oauth.refresh',
    ...Array.from({ length: 3 }, () => 'users.list'),
  ]);
  expect(findings()).toEqual([]);
});

test('accepts the signatures of webhooks and of the validation, and refuses those of another secret', async () => {
  const { control } = zoom.simulator;
  const hook = `${url}/zoom/events`;
  control.subscribe({ clientId: admin.clientId, url: hook, secret });
  control.addUsers({ accountId: 'acc_simulator', users: [{ id: 'zu_new', email: 'new@simulator.example' }] });
  expect(await next()).toEqual({ event: 'user.created', id: 'zu_new' });
  await control.settleWebhooks();
  expect(control.webhookAttempts()).toMatchObject([
    { event: 'endpoint.url_validation', status: 200, valid: true },
    { event: 'user.created', status: 200 },
  ]);
  expect(findings()).toEqual([]);

  control.subscribe({ clientId: admin.clientId, url: hook, secret: 'another-secret' });
  control.changeUser({ accountId: 'acc_simulator', userId: 'zu_new', change: { type: 1 } });
  await control.settleWebhooks();
  expect(control.webhookAttempts().slice(2)).toMatchObject([
    { event: 'endpoint.url_validation', status: 400, valid: false },
    { event: 'user.updated', status: 400 },
  ]);
});
