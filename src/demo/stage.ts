import { randomBytes, randomUUID } from 'node:crypto';
import { totalmem } from 'node:os';
import type { Writable } from 'node:stream';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { createSteward, type Steward } from '../client/index.ts';
import { createServices, type Services } from '../compose.ts';
import { parseConfig } from '../config.ts';
import { stateLimits } from '../connections/account-limits-repository.ts';
import { createDatabase, type Database } from '../db/database.ts';
import { migrateReferenceApp } from '../db/migrate.ts';
import { freePort } from '../embedded/free-port.ts';
import { startTemporaryPostgres } from '../embedded/postgres.ts';
import { startPrivateRedis } from '../embedded/redis.ts';
import { startServer } from '../http/server-process.ts';
import { createServiceKey } from '../http/service-keys.ts';
import { createLogger } from '../logger.ts';
import { migrateAll } from '../queues/migrate-all.ts';
import { createReleaseStack } from '../release-stack.ts';
import { Secret } from '../secret.ts';
import { type Simulator, startSimulator } from '../simulator/start-simulator.ts';
import { moments } from './checks.ts';
import { otherZoomUsers, seedWorld, type World, zoomAccountId, zoomUserPattern } from './world.ts';

export type StageOptions = {
  readonly members: number;
  readonly queue: 'postgres' | 'redis';
  readonly seed: number;
  /** logs of worker and server go here */
  readonly log: Writable;
};

/** Everything the story is played on, all of it on this machine and none of it there before. */
export type Stage = {
  readonly world: World;
  readonly services: Services;
  readonly steward: Steward;
  readonly zoom: Simulator;
  /** connections of its own for checks: several moments may wait for their turn, and the worker's pool is the worker's */
  readonly checksDb: Database;
  readonly serverUrl: string;
  /** which server carries the queue, and what went through it */
  readonly queue: { readonly server: string; readonly runId: string };
  /** jobs that were started, by name */
  jobCounts(): Record<string, number>;
  /** pages of users that the worker has read at Zoom since it last had to begin anew */
  pagesRead(): number;
  /** moves both clocks, ours and Zoom's, as if so much time had passed */
  advance(ms: number): Promise<void>;
  stop(): Promise<void>;
};

/** People at Zoom who are no members: two admins and the joiner's Zoom user. */
export const zoomPeople = {
  /** a contractor: her address is in no verified domain, so an owner must confirm */
  firstAdmin: { id: 'zu_admin_1', email: 'it@contractor.example', roleId: '1' },
  secondAdmin: { id: 'zu_admin_2', email: 'admin@northwind.example', roleId: '1' },
  joiner: { id: 'zu_joiner', email: 'joiner@northwind.example' },
} as const;

const adminClientId = 'demo_admin_app';

/**
 * Business as published; an account with as many users as no Business plan has comes with a contract. What an operator knows
 * of it is said once, to both sides: the simulated Zoom keeps to it.
 */
const contractLimits = (members: number) => ({ perSecond: members > manyMembers ? 600 : 60, perDay: null });

/** Starts database, queue, Zoom, worker and server, and fills the world. Stops what it started if it fails. */
export async function setStage({ members, queue, seed, log: logTo }: StageOptions): Promise<Stage> {
  const stack = createReleaseStack();
  const release = async (): Promise<void> => {
    const failures = await stack.release();
    if (failures.length > 0)
      throw new Error(
        `The stage did not come down: ${failures.map(({ name, error }) => `${name}: ${String(error)}`).join('; ')}`,
      );
  };
  try {
    const server = await startTemporaryPostgres(postgresFlags(members));
    stack.add('Postgres', () => server.stop());
    const databaseUrl = server.url();
    const redis = queue === 'redis' ? await startPrivateRedis() : undefined;
    if (redis) stack.add('Redis', () => redis.stop());

    const setup = createDatabase({ url: databaseUrl, max: 6 });
    let filled: Promise<void> | undefined;
    stack.add('what fills the world', async () => {
      await filled?.catch(() => {});
      await setup.destroy();
    });
    await migrateReferenceApp(setup);
    await migrateAll(setup, { databaseUrl: new Secret(databaseUrl), queue, queuePrefix: 'demo' });
    const world = await seedWorld(setup, { members, seed });
    filled = world.filled;

    const zoom = await startSimulator({
      profile: 'cruel',
      seed,
      world: {
        apps: [
          { clientId: adminClientId, secrets: ['demo-admin-secret'], kind: 'admin', redirectUris: ['*'] },
          { clientId: 'demo_personal_app', secrets: ['demo-personal-secret'], kind: 'personal', redirectUris: ['*'] },
        ],
        accounts: [
          {
            id: zoomAccountId,
            plan: 'business',
            limits: { medium: contractLimits(members) },
            users: [...Object.values(zoomPeople), ...(await otherZoomUsers(setup))],
            patterns: [zoomUserPattern(members)],
          },
        ],
      },
    });
    stack.add('Zoom simulator', () => zoom.stop());
    await setup.transaction().execute((trx) =>
      stateLimits(trx, {
        zoomAccountId,
        limits: contractLimits(members),
        actor: 'operator:demo',
        reason: 'the contract',
      }),
    );

    const port = await freePort();
    const claimSecret = randomBytes(32).toString('base64url');
    const config = parseConfig({
      STEWARD_MODE: 'simulator',
      DATABASE_URL: databaseUrl,
      STEWARD_QUEUE: queue,
      ...(redis ? { REDIS_URL: redis.url } : {}),
      STEWARD_QUEUE_PREFIX: 'demo',
      ZOOM_BASE_URL: zoom.url,
      ZOOM_ADMIN_CLIENT_ID: adminClientId,
      ZOOM_ADMIN_CLIENT_SECRETS: 'demo-admin-secret',
      ZOOM_PERSONAL_CLIENT_ID: 'demo_personal_app',
      ZOOM_PERSONAL_CLIENT_SECRETS: 'demo-personal-secret',
      // The account has no other apps here, so the whole limit is ours.
      ZOOM_RATE_SHARE: '0.9',
      STEWARD_KEYS: `demo:${randomBytes(32).toString('base64')}`,
      STEWARD_CLAIM_SECRET: claimSecret,
      STEWARD_PUBLIC_URL: `http://127.0.0.1:${port}`,
      STEWARD_PORT: String(port),
      STEWARD_TICK_MS: '250',
      STEWARD_LOG_LEVEL: 'info',
    });
    const checksDb = createDatabase({ url: databaseUrl, max: moments.length });
    stack.add('connections of the checks', () => checksDb.destroy());
    const services = createServices(config, { log: createLogger({ level: 'info', destination: logTo }) });
    stack.add('services', () => services.close());
    const counts: Record<string, number> = {};
    services.telemetry.on('job_started', ({ job }) => {
      counts[job] = (counts[job] ?? 0) + 1;
    });
    let pages = 0;
    services.telemetry.on('zoom_request', ({ endpoint, outcome }) => {
      if (endpoint === 'users.list') pages = outcome === 'page_token' ? 0 : pages + 1;
      // Once is enough where each means another million users.
      if (outcome === 'page_token' && members > manyMembers) zoom.control.setToggles({ page_tokens: 'live' });
    });
    const worker = services.createWorker({ keepOpen: true });
    await worker.start();
    stack.add('worker', async () => void (await worker.stop()));
    const http = await startServer(services);
    stack.add('server', () => http.stop());

    const { key } = await createServiceKey(services.db, {
      name: 'demo',
      capabilities: ['facts:write', 'connections:read', 'meetings:write', 'act-as'],
    });
    const steward = createSteward({
      db: services.db as never,
      url: http.url,
      serviceKey: key,
      claimSecret,
      timeoutMs: previewAtMostMs,
    });
    return {
      world,
      services,
      steward,
      zoom,
      checksDb,
      serverUrl: http.url,
      queue: redis
        ? { server: redis.program, runId: await redisRunId(redis.url) }
        : { server: 'postgres', runId: await postgresRunId(services) },
      jobCounts: () => ({ ...counts }),
      pagesRead: () => pages,
      async advance(ms) {
        await sql`update steward.clock set offset_by = offset_by + ${ms} * interval '1 millisecond'`.execute(
          services.db,
        );
        zoom.control.advanceClock({ ms });
      },
      stop: release,
    };
  } catch (error) {
    await stack.release();
    throw error;
  }
}

const manyMembers = 200_000;
/** A preview looks at every event type that has Zoom: a million and a half of them with a million members. */
const previewAtMostMs = 180_000;

/**
 * A server as its owner would size it for so many members; commits are as safe as anywhere (fsync and synchronous_commit
 * are on). Without replicas nothing is logged for them, and what is loaded before the story begins need not be logged at all.
 */
function postgresFlags(members: number): string[] {
  const settings = [
    'max_connections=120',
    `shared_buffers=${members > manyMembers ? `${quarterOfMemory()}MB` : '256MB'}`,
    `work_mem=${members > manyMembers ? '64MB' : '4MB'}`,
    `max_wal_size=${members > manyMembers ? '16GB' : '4GB'}`,
    'checkpoint_timeout=15min',
    'wal_level=minimal',
    'max_wal_senders=0',
  ];
  return settings.flatMap((setting) => ['-c', setting]);
}

/** What is usually given to a server that has the machine nearly for itself, MB; not less than tables of that size want. */
const quarterOfMemory = (): number => Math.max(2_048, Math.floor(totalmem() / 4 / 2 ** 20));

/** What tells one start of a Postgres server from another. */
async function postgresRunId({ db }: Services): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    select system_identifier || '-' || extract(epoch from pg_postmaster_start_time())::bigint as id from pg_control_system()`.execute(
    db,
  );
  return rows[0]?.id ?? randomUUID();
}

/** The id a Redis or Valkey server gave itself when it started. */
async function redisRunId(url: string): Promise<string> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    return /^run_id:(\S+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown';
  } finally {
    redis.disconnect();
  }
}
