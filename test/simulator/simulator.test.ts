import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createControlClient } from '../../src/simulator/control-client.ts';
import { createFaults } from '../../src/simulator/faults.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { toggleNames, toggleTable } from '../../src/simulator/toggles.ts';
import {
  admin,
  authorizeUrl,
  call,
  challenge,
  codeFor,
  connect,
  exchange,
  lives,
  pairIn,
  personal,
  refresh,
  revoke,
  visit,
} from './visitor.ts';

const account = 'acc_simulator';
let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ profile: 'kind', seed: 7 });
});
afterAll(() => simulator.stop());
beforeEach(() => simulator.control.clearFaults());

describe('consent', () => {
  test('GET shows, POST decides; the browser comes back with code and state', async () => {
    const shown = await visit(authorizeUrl(simulator));
    expect(shown).toMatchObject({ status: 200 });
    expect(shown.text).toContain('sim_admin_app');
    expect(shown.text).toContain(challenge);
    const fields = new URLSearchParams(new URL(authorizeUrl(simulator)).search);
    fields.set('user', 'ADMIN@simulator.example');
    fields.set('decision', 'approve');
    const decided = await visit(simulator.endpoints.authorizeUrl, { method: 'POST', body: fields.toString() });
    expect(decided.status).toBe(302);
    const back = new URL(decided.headers.location ?? '');
    expect(back.searchParams.get('state')).toBe('state-1');
    expect((await exchange(simulator, back.searchParams.get('code') ?? '')).status).toBe(200);
  });

  test.each([
    ['a member', 'zu_1'],
    ['a deactivated user', 'zu_19'],
    ['a stranger', 'nobody'],
  ])('%s is refused on the page of Zoom and never sent back', async (_who, user) => {
    const fields = new URLSearchParams(new URL(authorizeUrl(simulator)).search);
    fields.set('user', user);
    const decided = await visit(simulator.endpoints.authorizeUrl, { method: 'POST', body: fields.toString() });
    expect(decided.status).toBeGreaterThanOrEqual(400);
    expect(decided.headers.location).toBeUndefined();
    expect(simulator.control.consent({ authorizeUrl: authorizeUrl(simulator), user }).kind).toBe('refused');
  });

  test('whoever holds the privileges may, by whatever role; a role of the name Admin is not enough', () => {
    const { control } = simulator;
    control.setRole({ accountId: account, role: { id: 'r_it', name: 'IT', privileges: ['User:Read', 'User:Edit'] } });
    control.setRole({ accountId: account, role: { id: 'r_sham', name: 'Admin', privileges: ['User:Read'] } });
    control.setRoleOfUser({ accountId: account, userId: 'zu_2', roleId: 'r_it' });
    control.setRoleOfUser({ accountId: account, userId: 'zu_3', roleId: 'r_sham' });
    expect(control.consent({ authorizeUrl: authorizeUrl(simulator), user: 'zu_2' }).kind).toBe('redirected');
    expect(control.consent({ authorizeUrl: authorizeUrl(simulator), user: 'zu_3' }).kind).toBe('refused');
  });

  test('the app each user manages takes anybody, sees only them, and cannot list', async () => {
    const pair = await connect(simulator, 'zu_4', personal);
    expect((await call(simulator, pair, 'GET /users/me')).json).toMatchObject({ id: 'zu_4', account_id: account });
    expect((await call(simulator, pair, 'GET /users')).json['code']).toBe(4700);
    expect((await call(simulator, pair, 'POST /users/me/meetings', { topic: 'Mine' })).status).toBe(201);
    expect((await call(simulator, pair, 'POST /users/zu_5/meetings', { topic: 'Theirs' })).status).toBe(403);
  });

  test('declined scopes are not granted', async () => {
    const code = codeFor(simulator, 'zu_admin', admin, ['meeting:write:admin']);
    const reply = await exchange(simulator, code);
    expect(reply.json['scope']).toBe('user:read:admin meeting:read:admin');
    const refused = await call(simulator, pairIn(reply), 'POST /users/zu_1/meetings', { topic: 'T' });
    expect(refused.json).toMatchObject({
      code: 4700,
      message: expect.stringContaining('does not contain scopes:[meeting:write:admin]'),
    });
  });
});

describe('grants end', () => {
  test('a deleted or deactivated user takes the grant along; the number is 4735', async () => {
    const { control } = simulator;
    control.addUsers({
      accountId: account,
      users: [{ id: 'zu_leaver', email: 'leaver@simulator.example', roleId: '1' }],
    });
    const pair = await connect(simulator, 'zu_leaver');
    control.changeUser({ accountId: account, userId: 'zu_leaver', change: { status: 'inactive' } });
    expect(await lives(simulator, pair)).toBe(false);
    control.deleteUser({ accountId: account, userId: 'zu_leaver' });
    control.setToggles({ token_error: 'grant_and_number' });
    expect((await refresh(simulator, pair.refresh)).json['errorCode']).toBe(4735);
    control.setToggles({ token_error: 'grant_and_reason' });
  });

  test('uninstalling ends everybody of the account and owes one webhook', async () => {
    const pairs = [await connect(simulator), await connect(simulator, 'zu_owner')];
    const before = simulator.control.webhooks().length;
    expect(
      simulator.control.uninstallApp({ clientId: admin.clientId, accountId: account }).length,
    ).toBeGreaterThanOrEqual(2);
    expect(await Promise.all(pairs.map((pair) => lives(simulator, pair)))).toEqual([false, false]);
    expect(simulator.control.webhooks().slice(before)).toMatchObject([
      { event: 'app_deauthorized', body: { payload: { account_id: account, client_id: admin.clientId } } },
    ]);
  });

  test('what is about the application says nothing about the grant', async () => {
    const { control } = simulator;
    const pair = await connect(simulator);
    control.setApp({ clientId: admin.clientId, secrets: ['rotated'] });
    expect((await refresh(simulator, pair.refresh)).json).toMatchObject({ error: 'invalid_client' });
    control.setApp({ clientId: admin.clientId, secrets: [admin.secret], disabled: true });
    expect((await refresh(simulator, pair.refresh)).text).toContain('4,717');
    control.setApp({ clientId: admin.clientId, disabled: false, scopes: ['user:read:admin'] });
    expect((await refresh(simulator, pair.refresh)).text).toContain('4,711');
    control.setApp({
      clientId: admin.clientId,
      scopes: ['user:read:admin', 'meeting:read:admin', 'meeting:write:admin'],
    });
    expect((await refresh(simulator, pair.refresh)).status).toBe(200);
  });

  test('access tokens live an hour, refresh tokens 90 days', async () => {
    const pair = await connect(simulator);
    simulator.control.advanceClock({ ms: 3_600_000 });
    expect((await call(simulator, pair, 'GET /users/me')).json).toMatchObject({
      code: 124,
      message: expect.stringMatching(/expired/),
    });
    simulator.control.advanceClock({ ms: 90 * 86_400_000 });
    expect((await refresh(simulator, pair.refresh)).status).toBe(400);
    expect((await revoke(simulator, pair.access)).status).toBe(400);
  });
});

describe('users', () => {
  test('three states, pages of the same parameters, no id for pending, no role_name and account_id in lists', async () => {
    const pair = await connect(simulator);
    const first = await call(simulator, pair, 'GET /users?status=active&page_size=200');
    const token = String(first.json['next_page_token']);
    const items = first.json['users'] as Record<string, unknown>[];
    expect(items).toHaveLength(200);
    expect(items[0]).not.toHaveProperty('role_name');
    expect(items[0]).not.toHaveProperty('account_id');
    const second = await call(simulator, pair, `GET /users?status=active&page_size=200&next_page_token=${token}`);
    expect(second.json['next_page_token']).toBe('');
    expect((second.json['users'] as unknown[]).length + 200).toBe(first.json['total_records']);
    const other = await call(simulator, pair, `GET /users?status=active&page_size=100&next_page_token=${token}`);
    expect(other.json).toMatchObject({ code: 300 });
    simulator.control.advanceClock({ ms: 15 * 60_000 });
    const late = await call(simulator, pair, `GET /users?status=active&page_size=200&next_page_token=${token}`);
    expect(late.json).toMatchObject({ code: 300 });
    const pending = await call(simulator, pair, 'GET /users?status=pending');
    expect((pending.json['users'] as object[])[0]).not.toHaveProperty('id');
  });

  test('by id or address', async () => {
    const pair = await connect(simulator);
    expect((await call(simulator, pair, 'GET /users/MEMBER-1%40simulator.example')).json).toMatchObject({
      id: 'zu_1',
      role_name: 'Member',
    });
    expect((await call(simulator, pair, 'GET /users/nobody')).json).toMatchObject({ code: 1001 });
  });

  test('roles answer 200 with an error in it below Pro', async () => {
    simulator.control.addAccount({
      id: 'acc_free',
      plan: 'free',
      users: [{ id: 'zu_free', email: 'free@free.example', roleId: '0' }],
    });
    const app = { clientId: 'roles_app', secret: 's' };
    const scopes = ['user:read:admin', 'role:read:admin'];
    simulator.control.addApp({ clientId: 'roles_app', secrets: ['s'], kind: 'admin', redirectUris: ['*'], scopes });
    const free = await call(simulator, await connect(simulator, 'zu_free', app), 'GET /roles/1');
    expect(free).toMatchObject({ status: 200, json: { code: 200 } });
    const paid = await connect(simulator, 'zu_admin', app);
    expect((await call(simulator, paid, 'GET /roles/1')).json['privileges']).toContain('User:Edit');
    expect((await call(simulator, paid, 'GET /roles')).json['roles']).toContainEqual(
      expect.objectContaining({ id: '0' }),
    );
  });
});

describe('meetings', () => {
  test('made, read, changed, deleted, and gone', async () => {
    const pair = await connect(simulator);
    const made = await call(simulator, pair, 'POST /users/member-1@simulator.example/meetings', {
      topic: 'Talk',
      type: 2,
      settings: { auto_start_meeting_summary: true },
    });
    expect(made).toMatchObject({ status: 201, json: { host_id: 'zu_1', topic: 'Talk' } });
    const id = String(made.json['id']);
    expect((await call(simulator, pair, `PATCH /meetings/${id}`, { topic: 'Other' })).status).toBe(204);
    expect((await call(simulator, pair, `GET /meetings/${id}`)).json['topic']).toBe('Other');
    expect((await call(simulator, pair, `DELETE /meetings/${id}`)).status).toBe(204);
    expect((await call(simulator, pair, `PATCH /meetings/${id}`, { topic: 'Late' })).json).toMatchObject({
      code: 3001,
    });
    expect(simulator.control.meetings()).toContainEqual({
      id: Number(id),
      accountId: account,
      hostId: 'zu_1',
      deleted: true,
    });
  });

  test.each([
    ['nobody', 404, 1001],
    ['zu_elsewhere', 400, 1010],
    ['zu_19', 400, 1010],
    ['member-18@simulator.example', 400, 1120],
  ])('host %s: %d, code %d', async (host, status, code) => {
    if (host === 'zu_elsewhere') {
      simulator.control.addAccount({ id: 'acc_elsewhere', users: [{ id: host, email: 'e@elsewhere.example' }] });
    }
    const reply = await call(simulator, await connect(simulator), `POST /users/${host}/meetings`, { topic: 'T' });
    expect(reply).toMatchObject({ status, json: { code } });
  });

  test('a hundred a day for each host, then 429 without Retry-After until midnight', async () => {
    const pair = await connect(simulator);
    const make = (host: string) => call(simulator, pair, `POST /users/${host}/meetings`, { topic: 'T' });
    for (let at = 0; at < 100; at += 1) expect((await make('zu_6')).status).toBe(201);
    const refused = await make('zu_6');
    expect(refused).toMatchObject({
      status: 429,
      json: { message: expect.stringContaining('daily rate limit (100)') },
    });
    expect(refused.headers['retry-after']).toBeUndefined();
    expect((await make('zu_7')).status).toBe(201);
    simulator.control.advanceClock({ ms: 86_400_000 });
    const next = await connect(simulator);
    expect((await call(simulator, next, 'POST /users/zu_6/meetings', { topic: 'T' })).status).toBe(201);
  });
});

describe('faults', () => {
  const whenRotated = () => simulator.ledger().at(-1)?.did.includes('rotated');

  test.each([
    ['before', false],
    ['after', true],
  ] as const)('reset %s acting', async (when, acted) => {
    const pair = await connect(simulator);
    simulator.control.addFault({ endpoint: 'oauth.*', kind: 'reset', when });
    await expect(refresh(simulator, pair.refresh)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(whenRotated()).toBe(acted);
    expect((await refresh(simulator, pair.refresh)).status).toBe(acted ? 400 : 200);
  });

  test('an answer cut in the middle: Zoom has rotated', async () => {
    const pair = await connect(simulator);
    simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'truncate' });
    await expect(refresh(simulator, pair.refresh)).rejects.toThrow();
    expect(simulator.ledger().at(-1)).toMatchObject({ outcome: 'truncated', did: ['rotated'] });
  });

  test.each([
    [{ kind: 'server_error' }, 503, /Internal/],
    [{ kind: 'server_error', status: 500, when: 'after' }, 500, /Internal/],
    [{ kind: 'html' }, 502, /<html/],
    [{ kind: 'error_in_200' }, 200, /"code":200,"message":"You do not have the permission/],
    [{ kind: 'error_in_200', code: 500 }, 200, /"code":500,"message":"Internal/],
    // What chance has chosen must not look like a demotion.
    [{ kind: 'error_in_200', probability: 1 }, 200, /"code":500,"message":"Internal/],
    [{ kind: 'too_many_requests', daily: true }, 429, /daily rate limit/],
    [{ kind: 'redirect', status: 302 }, 302, /^$/],
    [{ kind: 'answer', status: 418, body: '{"tea":true}' }, 418, /tea/],
  ] as const)('%j', async (fault, status, text) => {
    const pair = await connect(simulator);
    simulator.control.addFault({ endpoint: 'oauth.refresh', ...fault });
    const reply = await refresh(simulator, pair.refresh);
    expect(reply.status).toBe(status);
    expect(reply.text).toMatch(text);
    expect(whenRotated()).toBe('when' in fault);
  });

  test('skip, count, client and endpoint choose the calls', async () => {
    const pair = await connect(simulator);
    simulator.control.addFault({ endpoint: 'users.me', kind: 'server_error', skip: 1, count: 2 });
    simulator.control.addFault({ endpoint: '*', clientId: 'another', kind: 'server_error', count: null });
    const statuses: number[] = [];
    for (let at = 0; at < 4; at += 1) statuses.push((await call(simulator, pair, 'GET /users/me')).status);
    expect(statuses).toEqual([200, 503, 503, 200]);
    expect(simulator.control.faults().map(({ applied }) => applied)).toEqual([2, 0]);
  });

  test('by probability: as often as said, the same again for the same seed, and others for another', () => {
    const drawn = (seed: string): boolean[] => {
      const faults = createFaults(seed);
      faults.add({ endpoint: 'users.*', kind: 'reset', probability: 0.3 });
      return Array.from({ length: 1_000 }, () => faults.take('users.me', null) !== null);
    };
    const once = drawn('seed');
    expect(drawn('seed')).toEqual(once);
    expect(drawn('another')).not.toEqual(once);
    const struck = once.filter(Boolean).length;
    expect(struck).toBeGreaterThan(250);
    expect(struck).toBeLessThan(350);
    for (const probability of [0, 1.1, Number.NaN])
      expect(() => simulator.control.addFault({ endpoint: '*', kind: 'reset', probability })).toThrow(/probability/);
  });

  test('a caller that hangs up is written down as gone, and Zoom acts all the same', async () => {
    const pair = await connect(simulator);
    const { id } = simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'hold' });
    simulator.control.clearLedger();
    const { request } = await import('node:http');
    const sent = request(simulator.endpoints.tokenUrl, {
      method: 'POST',
      agent: false,
      headers: {
        Authorization: `Basic ${Buffer.from(`${admin.clientId}:${admin.secret}`).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
    });
    const gone = new Promise((resolve) => sent.on('error', resolve));
    sent.end(new URLSearchParams({ grant_type: 'refresh_token', refresh_token: pair.refresh }).toString());
    await simulator.control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
    sent.destroy(new Error('hung up'));
    await gone;
    await expect.poll(() => simulator.ledger()[0]?.outcome, { timeout: 10_000 }).toBe('client_gone');
    simulator.control.releaseFault({ id });
    await expect.poll(() => simulator.ledger()[0]?.did, { timeout: 10_000 }).toEqual(['rotated']);
  });
});

describe('control', () => {
  test('the HTTP mirror does the same as the methods, and says what is wrong', async () => {
    const remote = createControlClient(simulator.controlUrl);
    const { nowMs } = await remote.now();
    expect((await remote.advanceClock({ ms: 1_000 })).nowMs).toBeGreaterThanOrEqual(nowMs + 1_000);
    await remote.addAccount({ id: 'acc_remote', users: [{ id: 'zu_remote', email: 'r@remote.example', roleId: '1' }] });
    expect(await remote.user({ accountId: 'acc_remote', user: 'r@remote.example' })).toMatchObject({ id: 'zu_remote' });
    const back = await remote.consent({ authorizeUrl: authorizeUrl(simulator), user: 'zu_remote' });
    expect(back.kind).toBe('redirected');
    expect(await remote.ledger()).toEqual(JSON.parse(JSON.stringify(simulator.ledger())));
    expect((await remote.judge()).calls).toBe(simulator.ledger().length);
    await expect(remote.deleteUser({ accountId: 'acc_none', userId: 'x' })).rejects.toThrow(/Expected an account/);
    expect((await visit(`${simulator.controlUrl}/nothing`, { method: 'POST' })).json['error']).toMatch(
      /Expected one of addApp/,
    );
    expect((await visit(`${simulator.controlUrl}/now`)).status).toBe(405);
    expect((await visit(`${simulator.controlUrl}/constructor`, { method: 'POST' })).status).toBe(404);
  });

  test('nothing of it is on the port that plays Zoom', async () => {
    expect((await visit(`${simulator.url}/now`, { method: 'POST' })).status).toBe(404);
  });

  test('equal seeds make equal tokens; stopping twice is fine, and frees what is held', async () => {
    const tokens: string[] = [];
    for (const seed of [1, 1, 2]) {
      const one = await startSimulator({ profile: 'kind', seed });
      const pair = await connect(one);
      tokens.push(pair.access);
      one.control.addFault({ endpoint: 'users.me', kind: 'blackhole' });
      const lost = call(one, pair, 'GET /users/me').catch((error: NodeJS.ErrnoException) => error.code);
      await one.control.waitForCalls({ endpoint: 'users.me', count: 1 });
      await one.stop();
      await one.stop();
      expect(await lost).toBe('ECONNRESET');
    }
    expect(tokens[0]).toBe(tokens[1]);
    expect(tokens[0]).not.toBe(tokens[2]);
  });

  test('a call that is waited for and does not come is an error that says what came', async () => {
    await expect(simulator.control.waitForCalls({ endpoint: 'users.none', count: 2, timeoutMs: 5 })).rejects.toThrow(
      /Expected 2 calls of users.none, got 0/,
    );
  });
});

test('pairwise profiles: every two readings of different toggles meet', () => {
  const profiles = pairwiseProfiles();
  expect(profiles.length).toBeLessThan(80);
  const unmet: string[] = [];
  toggleNames.forEach((first, at) => {
    for (const second of toggleNames.slice(at + 1))
      for (const a of toggleTable[first].readings)
        for (const b of toggleTable[second].readings)
          if (!profiles.some((one) => one[first] === a && one[second] === b))
            unmet.push(`${first}=${a} with ${second}=${b}`);
  });
  expect(unmet).toEqual([]);
  expect(pairwiseProfiles(3)).toEqual(pairwiseProfiles(3));
});
