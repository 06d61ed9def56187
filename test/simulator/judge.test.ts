import { Agent, request as httpRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { judgeLedger } from '../../src/simulator/judge.ts';
import type { LedgerEntry, Offence } from '../../src/simulator/ledger.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import {
  admin,
  basic,
  call,
  callback,
  codeFor,
  connect,
  exchange,
  form,
  pairIn,
  refresh,
  verifier,
  visit,
} from './visitor.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ profile: 'kind', toggles: { old_access_token: 'ends' } });
});
afterAll(() => simulator.stop());
beforeEach(() => {
  simulator.control.clearFaults();
  simulator.control.clearLedger();
});

const rules = (): string[] => simulator.judge().findings.map((finding) => finding.rule);
const post = (fields: string, headers: Record<string, string> = {}) =>
  visit(simulator.endpoints.tokenUrl, {
    method: 'POST',
    headers: { Authorization: basic(admin), 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body: fields,
  });

/** Two requests on one connection. */
async function twiceOnOneConnection(refreshToken: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { method, headers, body } = form(admin, { grant_type: 'refresh_token', refresh_token: refreshToken });
  for (let at = 0; at < 2; at += 1) {
    await new Promise<void>((resolve, reject) => {
      const request = httpRequest(
        simulator.endpoints.tokenUrl,
        { method, headers: { ...headers }, agent },
        (response) => response.resume().on('end', resolve),
      );
      request.on('error', reject).end(body);
    });
  }
  agent.destroy();
}

describe('each offence at the door is found, and refused where Zoom would refuse it', () => {
  const plants: Readonly<Record<Offence, () => Promise<{ status: number } | undefined>>> = {
    token_in_url: async () => visit(`${simulator.url}/v2/users/me?access_token=${(await connect(simulator)).access}`),
    secret_in_url: () =>
      visit(`${simulator.endpoints.authorizeUrl}?client_id=sim_admin_app&client_secret=sim-admin-secret`),
    unknown_parameter: () => post('grant_type=refresh_token&refresh_token=r&scope=x'),
    repeated_parameter: () => post('grant_type=refresh_token&refresh_token=a&refresh_token=b'),
    missing_parameter: () => post('grant_type=refresh_token'),
    not_a_form: () =>
      post('{"grant_type":"refresh_token","refresh_token":"r"}', { 'Content-Type': 'application/json' }),
    not_json: async () => call(simulator, await connect(simulator), 'POST /users/zu_1/meetings', 'not an object'),
    percent_encoded_basic: () =>
      post('grant_type=refresh_token&refresh_token=r', {
        Authorization: basic({ clientId: 'sim%5Fadmin%5Fapp', secret: admin.secret }),
      }),
    no_basic: () => post('grant_type=refresh_token&refresh_token=r', { Authorization: 'Bearer x' }),
    no_bearer: () => visit(`${simulator.url}/v2/users/me`, { headers: { Authorization: basic(admin) } }),
    wrong_kind_of_token: async () => call(simulator, { access: (await connect(simulator)).refresh }, 'GET /users/me'),
    async code_sent_again() {
      const code = codeFor(simulator, 'zu_admin');
      await exchange(simulator, code);
      return exchange(simulator, code);
    },
    unknown_path: () => visit(`${simulator.url}/v2/accounts`),
    async wrong_host() {
      const { access } = await connect(simulator);
      const Authorization = `Bearer ${access}`;
      const at = (Host: string) => visit(`${simulator.url}/v2/users/me`, { headers: { Host, Authorization } });
      expect((await at('api-eu.zoom.us')).status).toBe(200);
      return at('zoom.us');
    },
    async followed_redirect() {
      const pair = await connect(simulator);
      simulator.control.addFault({ endpoint: 'users.me', kind: 'redirect' });
      const { headers } = await call(simulator, pair, 'GET /users/me');
      return visit(headers.location ?? '', { headers: { Authorization: `Bearer ${pair.access}` } });
    },
    async reused_connection() {
      await twiceOnOneConnection('r');
      return undefined;
    },
    async page_too_large() {
      await call(simulator, await connect(simulator), 'GET /users?page_size=301');
      return undefined;
    },
  };
  // What cannot be done without doing something else wrong as well.
  const companions: Partial<Record<Offence, Offence[]>> = {
    token_in_url: ['no_bearer'],
    secret_in_url: ['unknown_parameter'],
  };
  test.each(Object.keys(plants) as Offence[])('%s', async (offence) => {
    const reply = await plants[offence]();
    if (reply) expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(new Set(rules())).toEqual(new Set([offence, ...(companions[offence] ?? [])]));
  });

  test('the ledger holds no token, no code and no secret', async () => {
    const code = codeFor(simulator, 'zu_admin');
    const pair = pairIn(await exchange(simulator, code));
    await visit(`${simulator.url}/v2/users/me?access_token=${pair.access}`);
    await refresh(simulator, pair.refresh);
    const text = JSON.stringify([simulator.ledger(), simulator.judge()]);
    for (const secret of [code, pair.access, pair.refresh, admin.secret, verifier]) expect(text).not.toContain(secret);
  });
});

describe('offences that only show in the whole', () => {
  test('a clean life breaks no rule: consent, calls, refreshes, one that Zoom refuses twice', async () => {
    let pair = await connect(simulator);
    for (let at = 0; at < 3; at += 1) pair = pairIn(await refresh(simulator, pair.refresh));
    await call(simulator, pair, 'GET /users?page_size=300');
    simulator.control.revokeGrants({ clientId: admin.clientId, accountId: 'acc_simulator' });
    await call(simulator, pair, 'GET /users/me');
    await refresh(simulator, pair.refresh);
    await refresh(simulator, pair.refresh);
    expect(simulator.judge()).toMatchObject({ ok: true, findings: [] });
  });

  test('two refreshes of one grant at a time', async () => {
    const pair = await connect(simulator);
    const { id } = simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'hold' });
    const first = refresh(simulator, pair.refresh);
    await simulator.control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
    await refresh(simulator, pair.refresh);
    simulator.control.releaseFault({ id });
    await first;
    expect(rules()).toContain('overlapping_refreshes');
    expect(rules()).toContain('token_sent_before_outcome');
  });

  test('a refresh whose caller hung up is on its way until Zoom has acted', async () => {
    const pair = await connect(simulator);
    await refresh(simulator, pair.refresh);
    await refresh(simulator, pair.refresh);
    const [first, second] = simulator.ledger().filter((entry) => entry.endpoint === 'oauth.refresh');
    if (!first || !second) throw new Error('Expected two refreshes in the ledger');
    const hungUp = { ...first, outcome: 'client_gone', status: null } as const;
    const after = { ...second, token: null };
    const overlapping = (actedAt: number) =>
      judgeLedger([{ ...hungUp, actedAt }, after]).findings.map((finding) => finding.rule);
    expect(overlapping(second.arrivedAt + 1)).toEqual(['overlapping_refreshes']);
    expect(overlapping(first.arrivedAt)).toEqual([]);
  });

  test('refreshes of different grants at a time are no offence', async () => {
    const [mine, theirs] = [await connect(simulator), await connect(simulator, 'zu_owner')];
    const { id } = simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'hold' });
    const first = refresh(simulator, mine.refresh);
    await simulator.control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
    await refresh(simulator, theirs.refresh);
    simulator.control.releaseFault({ id });
    await first;
    expect(rules()).toEqual([]);
  });

  test.each(['reset', 'truncate'] as const)(
    'a token sent again right after %s, and not after the quiet time',
    async (kind) => {
      const pair = await connect(simulator);
      simulator.control.addFault({ endpoint: 'oauth.refresh', kind, when: 'after' });
      await refresh(simulator, pair.refresh).catch(() => undefined);
      await refresh(simulator, pair.refresh);
      expect(rules()).toEqual(['token_sent_before_outcome']);
      expect(simulator.judge({ quietMs: 0 }).findings).toEqual([]);

      simulator.control.clearLedger();
      const other = await connect(simulator);
      simulator.control.addFault({ endpoint: 'oauth.refresh', kind, when: 'after' });
      await refresh(simulator, other.refresh).catch(() => undefined);
      simulator.control.advanceClock({ ms: 30_000 });
      await refresh(simulator, other.refresh);
      expect(rules()).toEqual([]);
    },
  );

  test('a token sent again after a success that was answered; a caller that died may have lost so many', async () => {
    const pair = await connect(simulator);
    await refresh(simulator, pair.refresh);
    await refresh(simulator, pair.refresh);
    expect(rules()).toEqual(['rotated_token_sent_again']);
    expect(simulator.judge({ lostAnswers: 1 }).ok).toBe(true);
  });

  test('calls with a dead access token go on', async () => {
    const pair = await connect(simulator);
    await refresh(simulator, pair.refresh);
    for (let at = 0; at < 4; at += 1) await call(simulator, pair, 'GET /users/me');
    expect(rules()).toEqual([]);
    await call(simulator, pair, 'GET /users/me');
    expect(rules()).toEqual(['dead_token_calls']);
    expect(simulator.judge({ deadAccessCalls: 4 }).ok).toBe(true);
  });

  test('refreshes of a dead grant go on', async () => {
    const pair = await connect(simulator);
    simulator.control.revokeGrants({ clientId: admin.clientId, accountId: 'acc_simulator' });
    for (let at = 0; at < 3; at += 1) await refresh(simulator, pair.refresh);
    expect(rules()).toEqual([]);
    await refresh(simulator, pair.refresh);
    expect(rules()).toEqual(['dead_token_calls']);
  });

  test('calls that were on their way when the first refusal came are not counted', () => {
    const dead = (n: number, arrivedAt: number, endedAt: number): LedgerEntry => ({
      n,
      connection: n,
      method: 'GET',
      endpoint: 'users.me',
      path: '/v2/users/me',
      clientId: 'c',
      grant: 'g',
      family: 'f',
      token: { kind: 'access', fingerprint: 'x', trouble: 'replaced' },
      clockMs: arrivedAt,
      arrivedAt,
      actedAt: null,
      endedAt,
      outcome: 'answered',
      status: 401,
      code: '124',
      did: [],
      offences: [],
      fault: null,
    });
    const onTheirWay = Array.from({ length: 64 }, (_, n) => dead(n, n, 100));
    expect(judgeLedger(onTheirWay).ok).toBe(true);
    expect(judgeLedger([...onTheirWay, ...[101, 102, 103, 104].map((at) => dead(at, at, at))]).ok).toBe(false);
  });
});

test('an exchange with another verifier, redirect or a second time gives nothing', async () => {
  const fields = (code: string) => ({
    grant_type: 'authorization_code',
    code,
    redirect_uri: callback,
    code_verifier: verifier,
  });
  const send = (changed: Record<string, string>) =>
    visit(simulator.endpoints.tokenUrl, form(admin, { ...fields(codeFor(simulator, 'zu_admin')), ...changed }));
  expect((await send({ code_verifier: 'w'.repeat(43) })).status).toBe(400);
  expect((await send({ redirect_uri: 'https://other.test/' })).json['reason']).toMatch(/4,709/);
  const code = codeFor(simulator, 'zu_admin');
  expect((await exchange(simulator, code)).status).toBe(200);
  expect((await exchange(simulator, code)).status).toBe(400);
  const late = codeFor(simulator, 'zu_admin');
  simulator.control.advanceClock({ ms: 5 * 60_000 });
  expect((await exchange(simulator, late)).status).toBe(400);
});
