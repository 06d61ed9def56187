import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { cancel } from '../../src/jobs/contract/result.ts';
import type { Finding } from '../../src/operating/doctor/finding.ts';
import { createQueue } from '../../src/queues/create-queue.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { tick } from '../../src/queues/ticker.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { consume, message, until } from '../queues/support.ts';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

const database = useDatabase();
let web: Server;
let environment: Record<string, string>;

const migrated = () =>
  migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: 'steward' });

beforeAll(async () => {
  await migrated();
  web = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  await once(web, 'listening');
  environment = {
    DATABASE_URL: database.url,
    STEWARD_MODE: 'development',
    STEWARD_PUBLIC_URL: `http://127.0.0.1:${(web.address() as AddressInfo).port}`,
    STEWARD_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    ZOOM_ADMIN_CLIENT_ID: 'admin_app',
    ZOOM_ADMIN_CLIENT_SECRETS: 'app-secret-of-the-test',
  };
});
afterAll(() => {
  web.close();
  web.closeAllConnections();
});
// The tick of a worker that just looked.
beforeEach(() => tick(database.db, 0).then(() => sql`delete from steward.outbox`.execute(database.db)));

type Examined = { readonly code: number; readonly of: Readonly<Record<string, Finding>>; readonly out: string };

async function doctor(over: Record<string, string> = {}): Promise<Examined> {
  const { code, out } = await playCli(['doctor', '--json'], { env: { ...environment, ...over } });
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  return { code, out, of: Object.fromEntries(findings.map((finding) => [finding.name, finding])) };
}

const states = ({ of }: Examined): Record<string, string> =>
  Object.fromEntries(Object.values(of).flatMap(({ name, state }) => (state === 'ok' ? [] : [[name, state]])));

test('finds nothing wrong where nothing is, and prints no secret', async () => {
  const examined = await doctor();
  expect(states(examined)).toEqual({});
  expect(Object.keys(examined.of)).toHaveLength(22);
  expect(examined.code).toBe(0);
  expect(examined.out).not.toMatch(/app-secret-of-the-test|BwcHBwc/);
  const { out } = await playCli(['doctor'], { env: environment });
  expect(out).toContain('Nothing is wrong.');
});

type Illness = {
  readonly name: string;
  readonly state: 'warn' | 'fail';
  readonly mend: RegExp;
  readonly breaks: string;
  readonly heals: string;
};

const run = (state: string, age: string) => `
  insert into steward.runs (id, target, organization_id, target_id, generation, cause, actor, state, created_at, ended_at)
  values (gen_random_uuid(), 'organization', gen_random_uuid(), gen_random_uuid(), 1, 'operator', 'app', '${state}', steward.now() - interval '${age}', null)`;
const grant = (clientId: string, keyId: string) => `
  insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, key_id, consented_at)
  values (gen_random_uuid(), 'admin', '${clientId}', 'acc', 'user', 'living', 'x', 'x', '${keyId}', now())`;

const illnesses: readonly Illness[] = [
  {
    name: 'schema',
    state: 'fail',
    mend: /run "zoom-steward migrate"/,
    breaks: `update steward.installation set value = '"another"' where key = 'programs'`,
    heals: '',
  },
  {
    name: 'main app',
    state: 'fail',
    mend: /app-schema\.md/,
    breaks: 'alter table steward_app.bookings rename to elsewhere',
    heals: 'alter table steward_app.elsewhere rename to bookings',
  },
  {
    name: 'members index',
    state: 'fail',
    mend: /create index concurrently members_address_key/,
    breaks: 'drop index steward_app.members_address_key',
    heals:
      'create index members_address_key on steward_app.members (organization_id, steward.address_key(email)) where active and email_verified',
  },
  {
    name: 'moved clock',
    state: 'warn',
    mend: /only demo and tests/,
    breaks: `update steward.clock set offset_by = '3 days'; update steward.installation set updated_at = steward.now() where key = 'tick'`,
    heals: `update steward.clock set offset_by = default`,
  },
  {
    name: 'key ring',
    state: 'fail',
    mend: /STEWARD_KEYS/,
    breaks: grant('admin_app', 'lost-key'),
    heals: 'delete from steward.grants',
  },
  {
    name: 'client secrets',
    state: 'fail',
    mend: /configure that app again/,
    breaks: grant('another_app', 'k1'),
    heals: 'delete from steward.grants',
  },
  {
    name: 'client secrets',
    state: 'fail',
    mend: /Marketplace/,
    breaks: `insert into steward.client_states (client_id, breaker_since, breaker_until, breaker_reason, breaker_count) values ('admin_app', now(), now(), 'invalid_client', 1)`,
    heals: 'delete from steward.client_states',
  },
  {
    name: 'queue choice',
    state: 'fail',
    mend: /STEWARD_QUEUE_PREFIX/,
    breaks: `update steward.installation set value = jsonb_set(value, '{prefix}', '"other"') where key = 'queue'`,
    heals: `update steward.installation set value = jsonb_set(value, '{prefix}', '"steward"') where key = 'queue'`,
  },
  {
    name: 'workers',
    state: 'fail',
    mend: /zoom-steward worker/,
    breaks: `update steward.installation set updated_at = steward.now() - interval '5 minutes' where key = 'tick'`,
    heals: `update steward.installation set updated_at = steward.now() where key = 'tick'`,
  },
  {
    name: 'webhooks',
    state: 'warn',
    mend: /event subscription/,
    breaks: `insert into steward.webhook_sources (client_id, heard_at, validated_at) values ('admin_app', steward.now() - interval '8 days', steward.now() - interval '7 days 1 hour')`,
    heals: 'delete from steward.webhook_sources',
  },
  {
    name: 'webhooks',
    state: 'warn',
    mend: /access log/,
    breaks: `insert into steward.audit_log (actor, action, at) values ('zoom', 'webhook.signing_attempt', steward.now())`,
    heals: `delete from steward.audit_log where action = 'webhook.signing_attempt'`,
  },
  {
    name: 'outbox',
    state: 'fail',
    mend: /go out by themselves/,
    breaks: `insert into steward.outbox (job, key, available_at) values ('j', 'k', steward.now() - interval '10 minutes')`,
    heals: 'delete from steward.outbox',
  },
  {
    name: 'events',
    state: 'warn',
    mend: /events-not-taken/,
    breaks: `insert into steward.events (organization_id, type, created_at, position) values (gen_random_uuid(), 'x', steward.now() - interval '2 hours', 1)`,
    heals: 'delete from steward.events',
  },
  {
    name: 'events',
    state: 'warn',
    mend: /events delayed/,
    breaks: `insert into steward.event_batches (organization_id, seq, change, event_type_ids, owner_member_ids, locations, needs_location, created_at) values (gen_random_uuid(), 1, 'removed', '{}', '{}', '{}', '{}', steward.now() - interval '2 hours')`,
    heals: 'delete from steward.event_batches',
  },
  {
    name: 'runs',
    state: 'fail',
    mend: /runs list/,
    breaks: run('queued', '10 minutes'),
    heals: 'delete from steward.runs',
  },
  {
    name: 'runs',
    state: 'warn',
    mend: /--max-removals/,
    breaks: run('held', '1 hour'),
    heals: 'delete from steward.runs',
  },
  {
    name: 'switches',
    state: 'warn',
    mend: /resume/,
    breaks: `insert into steward.switches values ('pause_writes', 'import looks wrong', 'operator:jo', steward.now())`,
    heals: 'delete from steward.switches',
  },
  {
    name: 'verifications',
    state: 'fail',
    mend: /runbook\.md#no-verification/,
    breaks: `insert into steward.org_connections (id, organization_id, state, verified_at, verify_due_at) values (gen_random_uuid(), gen_random_uuid(), 'active', steward.now() - interval '9 hours', steward.now() - interval '3 hours')`,
    heals: 'delete from steward.org_connections',
  },
];

test.each(illnesses)('$name: $state, with its mend ($mend)', async ({ name, state, mend, breaks, heals }) => {
  await sql.raw(breaks).execute(database.db);
  try {
    const examined = await doctor();
    expect(states(examined)).toMatchObject({ [name]: state });
    expect(examined.of[name]?.mend).toMatch(mend);
    // One illness is one finding; what cannot be looked at without it is skipped.
    expect(Object.entries(states(examined)).filter(([other, its]) => other !== name && its !== 'skipped')).toEqual([]);
    expect(examined.code).toBe(state === 'fail' ? 1 : 0);
  } finally {
    if (heals === '') await migrated();
    else await sql.raw(heals).execute(database.db);
  }
});

test('two clocks that differ are a warning, and a failure once claims would be refused', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    for (const [ms, state] of [
      [5_000, 'warn'],
      [60_000, 'fail'],
    ] as const) {
      vi.setSystemTime(performance.timeOrigin + performance.now() + ms);
      const { of } = await doctor();
      expect(of['clock']).toMatchObject({ state, found: expect.stringContaining('behind this machine') });
    }
  } finally {
    vi.useRealTimers();
  }
});

test('dead letters are counted by queue', async () => {
  const queue = createQueue(
    {
      queue: 'postgres',
      queuePrefix: 'steward',
      databaseUrl: new Secret(database.url),
      redisUrl: null,
      concurrency: {},
    },
    { db: database.db, telemetry: createTelemetry() },
  );
  const { consumer } = consume(queue, () => cancel('no such member'));
  await queue.publish([message('x')]);
  await until('a dead letter', async () => (await queue.depth('quick')).failed === 1);
  await consumer.close();
  const { of } = await doctor();
  expect(of['dead letters']).toMatchObject({ state: 'warn', found: '1 in quick' });
  const [dead] = await queue.failed('quick', 1);
  await queue.removeFailed('quick', dead?.id as string);
  await queue.close();
});

describe('what cannot be reached', () => {
  test('without a database everything that needs it is skipped', async () => {
    const examined = await doctor({ DATABASE_URL: 'postgres://nobody:x@127.0.0.1:9/none' });
    expect(examined.of['database']).toMatchObject({ state: 'fail', mend: expect.stringContaining('DATABASE_URL') });
    expect(examined.of['roles']).toMatchObject({ state: 'skipped' });
    expect(examined.of['configuration']?.state).toBe('ok');
    expect(examined.code).toBe(1);
  });

  test('a configuration with problems names each, and no value', async () => {
    const examined = await doctor({ STEWARD_KEYS: 'k1:short', STEWARD_POOL_SIZE: 'many' });
    expect(examined.of['configuration']?.found).toMatch(/STEWARD_POOL_SIZE.*STEWARD_KEYS/s);
    expect(examined.of['key ring']?.state).toBe('skipped');
    expect(examined.out).not.toContain('k1:short');
  });

  test('a public URL that nobody answers is a warning: it may be closed from here', async () => {
    const examined = await doctor({ STEWARD_PUBLIC_URL: 'http://127.0.0.1:9' });
    expect(states(examined)).toEqual({ 'public URL': 'warn' });
    expect(examined.code).toBe(0);
  });

  test('a login without the rights of a worker is told which are lacking', async () => {
    const role = `d_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
    const { db } = database;
    await sql
      .raw(`create role ${role} login password 'pw'; grant usage on schema steward, steward_migrations, steward_app to ${role};
      grant select on all tables in schema steward, steward_migrations, steward_app to ${role}; grant execute on all functions in schema steward to ${role}`)
      .execute(db);
    const url = new URL(database.url);
    [url.username, url.password] = [role, 'pw'];
    const { of } = await doctor({ DATABASE_URL: url.href });
    expect(of['roles']).toMatchObject({ state: 'fail', found: expect.stringMatching(/may not: delete steward\./) });
    expect(of['roles']?.mend).toContain('grant steward_worker to');
    await sql.raw(`drop owned by ${role}; drop role ${role}`).execute(db);
  });
});
