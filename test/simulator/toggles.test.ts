import { describe, expect, test } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import {
  profile,
  type ToggleName,
  type Toggles,
  toggleNames,
  toggleTable,
  withToggles,
} from '../../src/simulator/toggles.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import {
  admin,
  authorizeUrl,
  call,
  callback,
  codeFor,
  connect,
  exchange,
  lives,
  pairIn,
  type Reply,
  refresh,
  revoke,
} from './visitor.ts';

const dayMs = 24 * 3_600_000;
const account = 'acc_simulator';

/** A success as bytes, without what is different each time. */
const shapeOf = ({ status, text }: Reply, simulator: Simulator): string =>
  `${status} ${text.replace(/eyJ[\w.-]+/g, 'TOKEN').replaceAll(simulator.url, 'SELF')}`;

/** Calls until the limit is reached and gives that answer. */
async function limited(simulator: Simulator): Promise<Reply> {
  const pair = await connect(simulator);
  simulator.control.addFault({ endpoint: 'users.me', kind: 'too_many_requests' });
  return call(simulator, pair, 'GET /users/me');
}

async function pagesUntilRefused(simulator: Simulator, pair: { access: string }): Promise<string> {
  let token = '';
  const statuses: number[] = [];
  for (let pages = 0; pages < 5; pages += 1) {
    const reply = await call(simulator, pair, `GET /users?status=active&page_size=200${token}`);
    statuses.push(reply.status);
    if (reply.status !== 200 || reply.json['next_page_token'] === '') break;
    token = `&next_page_token=${String(reply.json['next_page_token'])}`;
  }
  return statuses.join();
}

/** An app that is on the account and subscribed; every webhook is answered with `status`. */
async function withReceiver(
  simulator: Simulator,
  look: (receiver: Receiver, settle: () => Promise<void>) => Promise<string>,
  status = 200,
): Promise<string> {
  const receiver = await startReceiver(() => ({ status }));
  try {
    await connect(simulator);
    simulator.control.subscribe({ clientId: admin.clientId, url: receiver.url, secret: 's' });
    return await look(receiver, () => simulator.control.settleWebhooks());
  } finally {
    await receiver.stop();
  }
}

/** What a caller sees of each toggle: the test is that every reading looks different. */
const probes: Readonly<Record<ToggleName, (simulator: Simulator) => Promise<string>>> = {
  async revoke_reach(simulator) {
    const [first, same, other] = [
      await connect(simulator),
      await connect(simulator),
      await connect(simulator, 'zu_owner'),
    ];
    await revoke(simulator, first.access);
    const living = await Promise.all([first, same, other].map((pair) => lives(simulator, pair)));
    return `${living.join()} webhooks ${simulator.control.webhooks().length}`;
  },
  async revoke_by_refresh_token(simulator) {
    const pair = await connect(simulator);
    const { status } = await revoke(simulator, pair.refresh);
    return `${status} ${await lives(simulator, pair)}`;
  },
  async same_user_consent(simulator) {
    const first = await connect(simulator);
    const code = codeFor(simulator, 'zu_admin');
    const afterConsent = await lives(simulator, first);
    await exchange(simulator, code);
    return `${afterConsent} ${await lives(simulator, first)}`;
  },
  async other_admin_consent(simulator) {
    const first = await connect(simulator);
    await connect(simulator, 'zu_owner');
    return String(await lives(simulator, first));
  },
  async old_access_token(simulator) {
    const pair = await connect(simulator);
    await refresh(simulator, pair.refresh);
    return String(await lives(simulator, pair));
  },
  async refresh_reuse(simulator) {
    const pair = await connect(simulator);
    const next = pairIn(await refresh(simulator, pair.refresh));
    const again = await refresh(simulator, pair.refresh);
    return `${again.status} ${(await refresh(simulator, next.refresh)).status}`;
  },
  async refresh_lifetime(simulator) {
    const pair = await connect(simulator);
    simulator.control.advanceClock({ ms: 60 * dayMs });
    const next = pairIn(await refresh(simulator, pair.refresh));
    simulator.control.advanceClock({ ms: 60 * dayMs });
    return String((await refresh(simulator, next.refresh)).status);
  },
  async token_error(simulator) {
    const pair = await connect(simulator);
    simulator.control.deleteUser({ accountId: account, userId: 'zu_admin' });
    return shapeOf(await refresh(simulator, pair.refresh), simulator);
  },
  async token_success(simulator) {
    const pair = await connect(simulator);
    return shapeOf(await refresh(simulator, pair.refresh), simulator);
  },
  expires_in: async (simulator) => shapeOf(await exchange(simulator, codeFor(simulator, 'zu_admin')), simulator),
  api_url: async (simulator) => shapeOf(await exchange(simulator, codeFor(simulator, 'zu_admin')), simulator),
  async demotion(simulator) {
    const pair = await connect(simulator);
    const look = async (): Promise<string> => {
      const permissions = await call(simulator, pair, 'GET /users/me/permissions');
      const users = await call(simulator, pair, 'GET /users');
      return `${permissions.status} ${JSON.stringify(permissions.json['permissions'] ?? null)} ${users.status}`;
    };
    simulator.control.demote({ accountId: account, userId: 'zu_admin' });
    const atOnce = await look();
    simulator.control.advanceClock({ ms: 4 * 3_600_000 - 3_600_000 + 1 });
    const next = await refresh(simulator, pair.refresh);
    simulator.control.advanceClock({ ms: 3_600_000 - 10 });
    const later = next.status === 200 ? (await call(simulator, pairIn(next), 'GET /users')).status : 0;
    return `${atOnce}, refresh ${next.status}, after four hours ${later}`;
  },
  async permission_error(simulator) {
    const pair = await connect(simulator);
    simulator.control.setToggles({ demotion: 'fails_calls' });
    simulator.control.demote({ accountId: account, userId: 'zu_admin' });
    const { status, json } = await call(simulator, pair, 'GET /users');
    return `${status} ${json['code']}`;
  },
  async meeting_privilege(simulator) {
    const pair = await connect(simulator);
    simulator.control.setToggles({ demotion: 'fails_calls' });
    simulator.control.setRole({
      accountId: account,
      role: { id: 'reader', name: 'Reader', privileges: ['User:Read'] },
    });
    simulator.control.setRoleOfUser({ accountId: account, userId: 'zu_admin', roleId: 'reader' });
    return String((await call(simulator, pair, 'POST /users/zu_1/meetings', { topic: 'T' })).status);
  },
  consent_refusal: async (simulator) =>
    simulator.control.consent({ authorizeUrl: authorizeUrl(simulator), user: 'zu_admin', decision: 'decline' }).kind,
  async marketplace_state(simulator) {
    const back = simulator.control.consentAtMarketplace({
      clientId: admin.clientId,
      redirectUri: callback,
      user: 'zu_admin',
    });
    return String(back.kind === 'redirected' && new URL(back.location).searchParams.has('state'));
  },
  async dead_token_status(simulator) {
    const { status, json } = await call(simulator, { access: 'nobody' }, 'GET /users/me');
    return `${status} ${json['code']}`;
  },
  async missing_scope_status(simulator) {
    const pair = await connect(simulator, 'zu_admin', admin, ['user:read:admin']);
    const { status, json } = await call(simulator, pair, 'GET /users/me');
    return `${status} ${json['code']} ${json['message']}`;
  },
  cannot_host_text: async (simulator) =>
    (await call(simulator, await connect(simulator), 'POST /users/nobody/meetings', { topic: 'T' })).text,
  me_fields: async (simulator) =>
    Object.keys((await call(simulator, await connect(simulator), 'GET /users/me')).json).join(),
  async page_tokens(simulator) {
    simulator.control.addUsers({
      accountId: account,
      patterns: [{ count: 600, id: 'more-{n}', email: 'm{n}@more.example', cycle: [{}] }],
    });
    const pair = await connect(simulator);
    return `${await pagesUntilRefused(simulator, pair)}; ${await pagesUntilRefused(simulator, pair)}`;
  },
  async page_size_above_300(simulator) {
    simulator.control.addUsers({
      accountId: account,
      patterns: [{ count: 600, id: 'more-{n}', email: 'm{n}@more.example', cycle: [{}] }],
    });
    const { status, json } = await call(simulator, await connect(simulator), 'GET /users?page_size=500');
    return `${status} ${(json['users'] as unknown[] | undefined)?.length}`;
  },
  async rate_limits(simulator) {
    simulator.control.addAccount({
      id: 'acc_free',
      plan: 'free',
      users: [{ id: 'zu_free', email: 'free@free.example', roleId: '0' }],
    });
    const pair = await connect(simulator, 'zu_free');
    const replies = await Promise.all(Array.from({ length: 20 }, () => call(simulator, pair, 'GET /users')));
    return String(replies.some((reply) => reply.status === 429));
  },
  async retry_after(simulator) {
    const { headers } = await limited(simulator);
    const said = headers['retry-after'];
    return said === undefined ? 'none' : /^\d+$/.test(said) ? 'seconds' : /^\d{4}-/.test(said) ? 'iso' : 'http';
  },
  async rate_limit_headers(simulator) {
    const told = Object.keys((await limited(simulator)).headers).filter((name) => name.startsWith('x-ratelimit-'));
    // The token endpoint says the same as the API.
    simulator.control.addFault({ endpoint: 'oauth.refresh', kind: 'too_many_requests' });
    const refused = await refresh(simulator, 'x');
    expect(refused.status).toBe(429);
    expect(Object.keys(refused.headers).filter((name) => name.startsWith('x-ratelimit-'))).toEqual(told);
    return told.sort().join();
  },
  async success_rate_limit_headers(simulator) {
    const pair = await connect(simulator);
    const { headers } = await call(simulator, pair, 'GET /users');
    simulator.control.addAccount({
      id: 'acc_contract',
      plan: 'free',
      limits: { medium: { perSecond: 200, perDay: 500 } },
      users: [{ id: 'zu_contract', email: 'one@contract.example', roleId: '0' }],
    });
    const { headers: ofDay } = await call(simulator, await connect(simulator, 'zu_contract'), 'GET /users');
    return ['category', 'type', 'limit', 'remaining']
      .map((name) => `${headers[`x-ratelimit-${name}`]}/${ofDay[`x-ratelimit-${name}`]}`)
      .join();
  },
  async simultaneous_operations(simulator) {
    const pair = await connect(simulator);
    const make = (who: string) => call(simulator, pair, `POST /users/${who}/meetings`, { topic: 'T' });
    const { id } = simulator.control.addFault({ endpoint: 'meetings.create', kind: 'hold' });
    const first = make('zu_1');
    await simulator.control.waitForCalls({ endpoint: 'meetings.create', count: 1 });
    const meanwhile = await make('zu_1');
    // Another host, and a look at the same one, are not in the way.
    expect((await make('zu_2')).status).toBe(201);
    expect((await call(simulator, pair, 'GET /users/zu_1')).status).toBe(200);
    simulator.control.releaseFault({ id });
    expect((await first).status).toBe(201);
    expect((await make('zu_1')).status).toBe(201);
    return `${meanwhile.status} ${meanwhile.headers['retry-after']} ${meanwhile.headers['x-ratelimit-type']}`;
  },
  async percent_encoded_basic(simulator) {
    const { refresh: token } = await connect(simulator);
    const encoded = { clientId: 'sim%5Fadmin%5Fapp', secret: 'sim%2Dadmin%2Dsecret' };
    expect((await refresh(simulator, token, { ...encoded, secret: 'sim%2Dother' })).json['error']).toBe(
      'invalid_client',
    );
    const { status } = await refresh(simulator, token, encoded);
    // Taken or not, it is not how Zoom's samples do it.
    expect(simulator.judge().findings.map(({ rule }) => rule)).toEqual(Array(2).fill('percent_encoded_basic'));
    return String(status);
  },
  webhook_delivery: (simulator) =>
    withReceiver(simulator, async (receiver, settle) => {
      for (const userId of ['zu_0', 'zu_1', 'zu_2', 'zu_3', 'zu_4', 'zu_5'])
        simulator.control.changeUser({ accountId: account, userId, change: { email: `${userId}@new.example` } });
      await settle();
      const atOnce = receiver.events().length;
      simulator.control.advanceClock({ ms: 10 * 60_000 });
      await settle();
      const order = receiver.taken.map(({ text }) => /zu_\d/.exec(text)?.[0]);
      return `${atOnce} ${receiver.events().length} ${order.join() === [...order].sort().join()}`;
    }),
  webhook_retries: (simulator) =>
    withReceiver(
      simulator,
      async (receiver, settle) => {
        simulator.control.changeSettings({ accountId: account });
        await settle();
        simulator.control.advanceClock({ ms: 5 * 60_000 });
        await settle();
        const signatures = receiver.taken.slice(-2).map(({ headers }) => headers['x-zm-signature']);
        return `${receiver.events().length} ${new Set(signatures).size}`;
      },
      503,
    ),
  webhook_body: (simulator) =>
    withReceiver(simulator, async (receiver, settle) => {
      simulator.control.changeSettings({ accountId: account });
      await settle();
      return (receiver.taken.at(-1)?.text ?? '').replace(/\d{10,}/g, 'N');
    }),
  deauthorized_ts: (simulator) =>
    withReceiver(simulator, async (receiver, settle) => {
      simulator.control.uninstallApp({ clientId: admin.clientId, accountId: account });
      await settle();
      const { event_ts, payload } = receiver.taken.at(-1)?.json ?? {};
      return `${typeof event_ts} ${typeof (payload as Record<string, unknown>)['event_ts']}`;
    }),
  deauthorized_event: (simulator) =>
    withReceiver(simulator, async (receiver, settle) => {
      simulator.control.uninstallApp({ clientId: admin.clientId, accountId: account });
      await settle();
      // Nothing else is kept from a private app, and its grants are as dead.
      expect(simulator.control.grants().every(({ ended }) => ended === 'uninstalled')).toBe(true);
      return receiver.events().join();
    }),
  role_change_event: (simulator) =>
    withReceiver(simulator, async (receiver, settle) => {
      simulator.control.promote({ accountId: account, userId: 'zu_2' });
      await settle();
      return receiver.events().length === 0 ? 'nothing' : (receiver.taken.at(-1)?.text ?? '').replace(/\d{10,}/g, 'N');
    }),
  validation_signature: (simulator) =>
    withReceiver(simulator, async (receiver, settle) => {
      await settle();
      return String(receiver.taken[0]?.headers['x-zm-signature'] === undefined);
    }),
  async clock_skew(simulator) {
    const { headers } = await call(simulator, { access: 'nobody' }, 'GET /users/me');
    return String(Math.round((Date.parse(headers.date ?? '') - simulator.control.now().nowMs) / 60_000));
  },
};

describe('every reading of every toggle shows', () => {
  test.each(toggleNames)('%s', async (name) => {
    const seen = new Map<string, string>();
    for (const reading of toggleTable[name].readings) {
      const simulator = await startSimulator({ profile: 'kind', toggles: { [name]: reading } });
      try {
        const observed = await probes[name](simulator);
        expect(seen.get(observed), `${reading} looks like another reading: ${observed}`).toBeUndefined();
        seen.set(observed, reading);
      } finally {
        await simulator.stop();
      }
    }
  });
});

describe('profiles', () => {
  test('kind is the first reading of each; cruel is one of the readings of each', () => {
    for (const name of toggleNames) {
      expect(profile('kind')[name]).toBe(toggleTable[name].readings[0]);
      expect(toggleTable[name].readings as readonly string[]).toContain(profile('cruel')[name]);
    }
  });

  test('a toggle or reading that does not exist is refused, and those that do are named', () => {
    const kind: Toggles = profile('kind');
    expect(() => withToggles(kind, { revoke_reech: 'token' })).toThrow(/revoke_reach.*got revoke_reech/s);
    expect(() => withToggles(kind, { revoke_reach: 'planet' })).toThrow(/token, user, account.*got planet/s);
  });

  test('toggles can be flipped while it runs', async () => {
    const simulator = await startSimulator({ profile: 'kind' });
    try {
      expect(simulator.control.setToggles({ me_fields: 'sparse' }).me_fields).toBe('sparse');
      expect(Object.keys((await call(simulator, await connect(simulator), 'GET /users/me')).json)).not.toContain(
        'status',
      );
    } finally {
      await simulator.stop();
    }
  });
});
