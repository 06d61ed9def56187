import { createHash } from 'node:crypto';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/start-simulator.ts';
import { createZoomApi, type ZoomAnswer, type ZoomAuth } from '../../src/zoom/api.ts';
import { simulatorEndpoints, type ZoomEndpoints, zoomEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth, type TokenAnswer, type ZoomClient } from '../../src/zoom/oauth.ts';
import type { ZoomRequestEvent } from '../../src/zoom/request-event.ts';
import type { ZoomNetwork } from '../../src/zoom/send-once.ts';
import { answer, listenRaw } from './raw-server.ts';
import { startZoomByName } from './zoom-by-name.ts';

const secret = new Secret('sim-admin-secret');
const client: ZoomClient = {
  kind: 'admin',
  clientId: 'sim_admin_app',
  secrets: [secret],
  redirectUri: 'https://steward.test/callback',
};
const verifier = new Secret('v'.repeat(43));
const codeChallenge = createHash('sha256').update(verifier.reveal()).digest('base64url');
const account = 'acc_simulator';

type Tokens = Extract<TokenAnswer, { kind: 'tokens' }>;
const tokensOf = (answered: TokenAnswer): Tokens => {
  if (answered.kind !== 'tokens') throw new Error(`Expected tokens, got ${JSON.stringify(answered)}`);
  return answered;
};
const kindOf = (answered: ZoomAnswer<unknown>): string => (answered.ok ? 'ok' : answered.failure.kind);

async function play(options: SimulatorOptions) {
  const simulator = await startSimulator(options);
  return clientOf(simulator, { endpoints: simulatorEndpoints(simulator.url) }, () => simulator.stop());
}

/** The same by Zoom's own names and TLS: as in production. */
async function playByName(options: SimulatorOptions) {
  const zoom = await startZoomByName(options);
  const { simulator, network, hosts } = zoom;
  return { ...clientOf(simulator, { endpoints: zoomEndpoints, network }, () => zoom.stop()), hosts };
}

function clientOf(
  simulator: Simulator,
  at: { readonly endpoints: ZoomEndpoints; readonly network?: ZoomNetwork },
  close: () => Promise<void>,
) {
  const events: ZoomRequestEvent[] = [];
  const deps = { ...at, onRequest: (event: ZoomRequestEvent) => void events.push(event) };
  const oauth = createZoomOauth(deps);
  const api = createZoomApi(deps);
  const connect = async (user = 'zu_admin'): Promise<Tokens> => {
    const authorizeUrl = oauth.authorizeUrl(client, { state: 's', codeChallenge });
    const back = simulator.control.consent({ authorizeUrl, user });
    if (back.kind !== 'redirected') throw new Error(back.why);
    const code = new Secret(new URL(back.location).searchParams.get('code') ?? '');
    return tokensOf(await oauth.exchangeCode(client, secret, { code, codeVerifier: verifier }));
  };
  const auth = ({ accessToken, apiUrl }: Tokens): ZoomAuth => ({
    token: accessToken,
    apiBase: apiUrl ?? deps.endpoints.apiBase,
  });
  const stop = async (): Promise<void> => {
    api.close();
    await close();
  };
  return { simulator, events, oauth, api, connect, auth, stop };
}

/** Walks a directory as one must: again from the start when a page token is refused. */
async function walk({ api, simulator }: Awaited<ReturnType<typeof play>>, auth: ZoomAuth): Promise<number> {
  for (let tries = 0; tries < 3; tries += 1) {
    let users = 0;
    let nextPageToken: string | null = null;
    for (;;) {
      const page = await api.listUsers(auth, { status: 'active', nextPageToken });
      if (!page.ok && page.failure.kind === 'rate_limited') {
        simulator.control.advanceClock({ ms: page.failure.retryAfterMs ?? 1_000 });
        continue;
      }
      if (!page.ok && page.failure.kind === 'page_token') break;
      if (!page.ok) throw new Error(page.failure.detail);
      users += page.value.users.length;
      nextPageToken = page.value.nextPageToken;
      if (nextPageToken === null) return users;
    }
  }
  throw new Error('Expected the walk to come to an end');
}

describe('one life under every pair of readings', () => {
  const profiles = pairwiseProfiles();
  test.each(profiles.map((toggles, at) => [at, toggles] as const))('profile %d', async (_at, toggles) => {
    const zoom = await playByName({ toggles });
    const { simulator, oauth, api } = zoom;
    simulator.control.addUsers({
      accountId: account,
      patterns: [{ count: 700, id: 'more-{n}', email: 'm{n}@more.example', cycle: [{}] }],
    });
    try {
      const first = await zoom.connect();
      expect(await api.me(zoom.auth(first))).toMatchObject({ ok: true, value: { id: 'zu_admin', accountId: account } });
      const next = tokensOf(await oauth.refresh(client, secret, first.refreshToken ?? new Secret('')));
      expect(next.scopes === null || next.scopes.includes('user:read:admin')).toBe(true);
      const auth = zoom.auth(next);
      expect(await walk(zoom, auth)).toBe(2 + 270 + 700);
      expect(await api.permissions(auth)).toMatchObject({ ok: true, value: expect.arrayContaining(['User:Read']) });
      const made = await api.createMeeting(auth, 'zu_1', { topic: 'T', type: 2 });
      expect(made).toMatchObject({ ok: true, value: { hostId: 'zu_1' } });
      const id = made.ok ? made.value.id : '';
      expect(kindOf(await api.updateMeeting(auth, id, { topic: 'U' }))).toBe('ok');
      expect(kindOf(await api.deleteMeeting(auth, id))).toBe('ok');
      expect(kindOf(await api.deleteMeeting(auth, id))).toBe('not_found');
      expect(kindOf(await api.createMeeting(auth, 'nobody', { topic: 'T' }))).toBe('cannot_host');
      expect(kindOf(await api.user(auth, 'nobody@x.example'))).toBe('not_found');

      simulator.control.addFault({ endpoint: 'users.me', kind: 'too_many_requests' });
      const limited = await api.me(auth);
      expect(limited).toMatchObject({ ok: false, failure: { kind: 'rate_limited' } });
      const waitMs = limited.ok ? 0 : (limited.failure.retryAfterMs ?? -1);
      // Whatever form it has and whatever Zoom's clock says: about a second.
      expect(waitMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeLessThanOrEqual(2_000);

      expect(await oauth.revoke(client, secret, next.accessToken)).toEqual({ kind: 'revoked' });
      expect(kindOf(await api.me(auth))).toBe('token');
      expect(
        await oauth.refresh(client, secret, next.refreshToken ?? first.refreshToken ?? new Secret('')),
      ).toMatchObject({ kind: 'grant' });
      expect(simulator.judge()).toMatchObject({ ok: true, findings: [] });
    } finally {
      await zoom.stop();
    }
  });
});

describe('as the real host names, under a test authority', () => {
  test('token, regional base, API and revoke through the production branch', async () => {
    const zoom = await playByName({ profile: 'kind' });
    try {
      const tokens = await zoom.connect();
      expect(kindOf(await zoom.api.me(zoom.auth(tokens)))).toBe('ok');
      expect(kindOf(await zoom.api.me({ ...zoom.auth(tokens), apiBase: 'https://api.zoom.us.evil.example' }))).toBe(
        'ok',
      );
      expect(await zoom.oauth.revoke(client, secret, tokens.accessToken)).toEqual({ kind: 'revoked' });
      expect(zoom.hosts).toEqual(['zoom.us:443', 'api-eu.zoom.us:443', 'api.zoom.us:443', 'zoom.us:443']);
      expect(zoom.simulator.judge()).toMatchObject({ ok: true });
    } finally {
      await zoom.stop();
    }
  });

  test.each([
    ['https://api.zoom.us', true],
    ['https://api-eu.zoom.us', true],
    ['https://api-eu.zoom.us/', true],
    ['http://api.zoom.us', false],
    ['https://api-eur.zoom.us', false],
    ['https://api-eu.zoom.us.evil.example', false],
    ['https://api-eu.zoom.us@evil.example', false],
    ['https://api.zoom.us:8443', false],
    ['https://api.zoomgov.com', false],
    ['https://api.zoom.us/\nhttps://evil.example', false],
    ['', false],
  ])('base %j is followed: %s', (base, trusted) => {
    expect(zoomEndpoints.trustedApiBase(base)).toBe(trusted);
  });

  test("the simulator's base is followed only in its own endpoints", () => {
    expect(simulatorEndpoints('http://127.0.0.1:4010/').trustedApiBase('http://127.0.0.1:4010')).toBe(true);
    expect(simulatorEndpoints('http://127.0.0.1:4010').trustedApiBase('https://api.zoom.us')).toBe(false);
    expect(zoomEndpoints.trustedApiBase('http://127.0.0.1:4010')).toBe(false);
  });
});

describe('requests as they go out', () => {
  let zoom: Awaited<ReturnType<typeof play>> | undefined;
  const kind = async () => {
    zoom ??= await play({ profile: 'kind', toggles: { same_user_consent: 'keeps' } });
    zoom.simulator.control.clearFaults();
    return zoom;
  };
  afterAll(() => zoom?.stop());

  test('Basic is literal, the form is a form, and the token is nowhere else', async () => {
    const server = await listenRaw((socket) => socket.end(answer('{"access_token":"a","refresh_token":"r"}')));
    const odd: ZoomClient = { ...client, clientId: 'a_b~c' };
    const oauth = createZoomOauth({ endpoints: simulatorEndpoints(`http://127.0.0.1:${server.port}`) });
    await oauth.refresh(odd, new Secret('s/e+c=r_t'), new Secret('r+f/1='));
    const [head = '', body] = server.received().split('\r\n\r\n');
    expect(head).toContain(`Authorization: Basic ${Buffer.from('a_b~c:s/e+c=r_t').toString('base64')}`);
    expect(head).not.toContain('r+f');
    expect(new URLSearchParams(body).get('refresh_token')).toBe('r+f/1=');
  });

  test.each(['oauth.refresh', 'oauth.exchange', 'oauth.revoke', 'users.me', 'meetings.create'])(
    '%s: a redirect is not followed',
    async (endpoint) => {
      const { simulator, oauth, api, connect, auth } = await kind();
      const tokens = await connect();
      simulator.control.addFault({ endpoint, kind: 'redirect' });
      if (endpoint === 'oauth.refresh') {
        expect(await oauth.refresh(client, secret, tokens.refreshToken ?? secret)).toMatchObject({
          kind: 'server',
          status: 307,
        });
      } else if (endpoint === 'oauth.exchange') {
        await expect(connect()).rejects.toThrow(/"status":307/);
      } else if (endpoint === 'oauth.revoke') {
        expect(await oauth.revoke(client, secret, tokens.accessToken)).toMatchObject({ kind: 'server', status: 307 });
      } else {
        const call =
          endpoint === 'users.me' ? api.me(auth(tokens)) : api.createMeeting(auth(tokens), 'zu_1', { topic: 'T' });
        expect(kindOf(await call)).toBe('unexpected');
      }
      expect(simulator.control.faults()[0]?.applied).toBe(1);
      expect(simulator.judge().findings).toEqual([]);
    },
  );

  test.each([
    [{ kind: 'reset', when: 'before' }, 'unknown'],
    [{ kind: 'reset', when: 'after' }, 'unknown'],
    [{ kind: 'truncate' }, 'unknown'],
    [{ kind: 'html', status: 200, when: 'after' }, 'unknown'],
    [{ kind: 'html' }, 'server'],
    [{ kind: 'server_error' }, 'server'],
    [{ kind: 'too_many_requests' }, 'server'],
  ] as const)('refresh with fault %j: %s, sent once', async (fault, expected) => {
    const { simulator, oauth, connect } = await kind();
    const tokens = await connect();
    simulator.control.clearLedger();
    simulator.control.addFault({ endpoint: 'oauth.refresh', count: null, ...fault });
    expect((await oauth.refresh(client, secret, tokens.refreshToken ?? secret)).kind).toBe(expected);
    expect(simulator.ledger()).toHaveLength(1);
    simulator.control.clearFaults();
  });

  test('no answer within 30 s: unknown, although Zoom acts later', async () => {
    const { simulator, oauth, connect } = await kind();
    const tokens = await connect();
    const { id } = simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'hold' });
    simulator.control.clearLedger();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const refreshed = oauth.refresh(client, secret, tokens.refreshToken ?? secret);
    await simulator.control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
    vi.advanceTimersByTime(30_000);
    expect(await refreshed).toMatchObject({ kind: 'unknown' });
    simulator.control.releaseFault({ id });
    await expect.poll(() => simulator.ledger().at(-1)?.did, { timeout: 10_000 }).toEqual(['rotated']);
  });

  test('a GET that meets a closed connection is repeated once; what changes something has its own', async () => {
    const { simulator, api, connect, auth } = await kind();
    const tokens = await connect();
    expect(kindOf(await api.me(auth(tokens)))).toBe('ok');
    simulator.control.addFault({ endpoint: 'users.me', kind: 'reset' });
    simulator.control.clearLedger();
    expect(kindOf(await api.me(auth(tokens)))).toBe('ok');
    expect(simulator.ledger().map((entry) => entry.outcome)).toEqual(['reset', 'answered']);
    simulator.control.addFault({ endpoint: 'users.me', kind: 'reset', count: 2 });
    expect(await api.me(auth(tokens))).toMatchObject({ ok: false, failure: { kind: 'network', sent: true } });
    simulator.control.clearFaults();
    simulator.control.clearLedger();
    await api.me(auth(tokens));
    await api.me(auth(tokens));
    await api.createMeeting(auth(tokens), 'zu_1', { topic: 'T' });
    await api.createMeeting(auth(tokens), 'zu_1', { topic: 'T' });
    const [first, second, third, fourth] = simulator.ledger().map((entry) => entry.connection);
    expect(second).toBe(first);
    expect(new Set([second, third, fourth]).size).toBe(3);
    simulator.control.addFault({ endpoint: 'meetings.create', kind: 'reset', when: 'after', count: null });
    const before = simulator.control.meetings().length;
    const lost = await api.createMeeting(auth(tokens), 'zu_1', { topic: 'T' });
    expect(lost).toMatchObject({ ok: false, failure: { kind: 'network', sent: true } });
    expect(simulator.control.meetings()).toHaveLength(before + 1);
  });

  test('nobody there: network, and nothing was sent', async () => {
    const gone = await startSimulator();
    await gone.stop();
    const api = createZoomApi({ endpoints: simulatorEndpoints(gone.url) });
    const answered = await api.createMeeting({ token: secret, apiBase: gone.url }, 'u', {});
    expect(answered).toMatchObject({ ok: false, failure: { kind: 'network', sent: false } });
    const oauth = createZoomOauth({ endpoints: simulatorEndpoints(gone.url) });
    expect(await oauth.refresh(client, secret, secret)).toEqual({ kind: 'not_sent', detail: 'ECONNREFUSED' });
  });

  test('an abort ends a call', async () => {
    const { simulator, api, connect, auth } = await kind();
    const tokens = await connect();
    const controller = new AbortController();
    simulator.control.clearLedger();
    simulator.control.addFault({ endpoint: 'users.me', kind: 'blackhole' });
    const call = api.me({ ...auth(tokens), signal: controller.signal });
    await simulator.control.waitForCalls({ endpoint: 'users.me', count: 1 });
    controller.abort();
    expect(await call).toMatchObject({ ok: false, failure: { kind: 'network', detail: 'aborted' } });
  });

  test('a grant without an access token asks nobody', async () => {
    const { simulator, api } = await kind();
    simulator.control.clearLedger();
    expect(kindOf(await api.me({ token: new Secret(''), apiBase: simulator.url }))).toBe('token');
    expect(simulator.ledger()).toEqual([]);
  });

  test.each(['', '.', '..'])('%j is no id, and asks for nothing else', async (id) => {
    const { simulator, api, connect, auth } = await kind();
    const tokens = await connect();
    simulator.control.clearLedger();
    expect(kindOf(await api.user(auth(tokens), id))).toBe('not_found');
    expect(kindOf(await api.deleteMeeting(auth(tokens), id))).toBe('not_found');
    expect(simulator.ledger()).toEqual([]);
    expect(kindOf(await api.user(auth(tokens), 'a/../b?x=1#y'))).toBe('not_found');
    expect(simulator.judge().findings).toEqual([]);
  });

  test('an answer that is not what was asked for is unexpected', async () => {
    const { simulator, api, connect, auth } = await kind();
    const tokens = await connect();
    for (const [endpoint, body] of [
      ['users.list', '{"users":[1]}'],
      ['users.permissions', '{}'],
      ['meetings.create', '{"topic":"T"}'],
    ] as const) {
      simulator.control.addFault({ endpoint, kind: 'answer', body });
    }
    expect(kindOf(await api.listUsers(auth(tokens), { status: 'active' }))).toBe('unexpected');
    expect(kindOf(await api.permissions(auth(tokens)))).toBe('unexpected');
    expect(kindOf(await api.createMeeting(auth(tokens), 'zu_1', { topic: 'T' }))).toBe('unexpected');
  });

  test('every request is told, with bounded names, and a broken listener breaks nothing', async () => {
    const { events, simulator, connect, auth, api } = await kind();
    events.length = 0;
    const tokens = await connect();
    await api.user(auth(tokens), 'nobody@x.example');
    expect(events).toMatchObject([
      { endpoint: 'oauth.exchange', outcome: 'ok', status: 200 },
      { endpoint: 'users.get', outcome: 'not_found', status: 404 },
    ]);
    expect(JSON.stringify(events)).not.toContain('nobody');
    const broken = createZoomApi({
      endpoints: simulatorEndpoints(simulator.url),
      onRequest: () => {
        throw new Error('broken');
      },
    });
    onTestFinished(() => broken.close());
    expect(kindOf(await broken.me(auth(tokens)))).toBe('ok');
  });
});
