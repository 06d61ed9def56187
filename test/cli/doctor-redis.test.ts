import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/operating/doctor/finding.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { type RedisForTests, redisForTests, redisLacking } from '../queues/redis-server.ts';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

describe.skipIf(redisLacking !== undefined)('doctor on Redis', () => {
  const database = useDatabase();
  let redis: RedisForTests;
  let client: Redis;
  beforeAll(async () => {
    redis = await redisForTests();
    client = new Redis(redis.url);
    await migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'redis', queuePrefix: 'steward' });
  });
  afterAll(async () => {
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    await client.quit();
    await redis.stop();
  });

  const findings = async (over: Record<string, string> = {}): Promise<Record<string, Finding>> => {
    const env = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      STEWARD_MODE: 'development',
      STEWARD_PUBLIC_URL: 'http://127.0.0.1:9',
      STEWARD_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
      ZOOM_ADMIN_CLIENT_ID: 'admin_app',
      ZOOM_ADMIN_CLIENT_SECRETS: 'app-secret',
      ...over,
    };
    const { out } = await playCli(['doctor', '--json'], { env });
    return Object.fromEntries((JSON.parse(out).findings as Finding[]).map((finding) => [finding.name, finding]));
  };

  test('one that evicts nothing is well', async () => {
    const { queue, 'queue choice': choice } = await findings();
    expect(queue).toMatchObject({ state: 'ok', found: expect.stringMatching(/^redis \d.*, noeviction$/) });
    expect(choice?.state).toBe('ok');
  });

  test('one that may evict is a warning in development and a failure in production', async () => {
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect((await findings())['queue']).toMatchObject({ state: 'warn', mend: expect.stringContaining('noeviction') });
    const production = await findings({ STEWARD_MODE: 'production' });
    expect(production['queue']).toMatchObject({ state: 'fail', found: 'redis_evicts' });
  });

  test('one that is away fails, and what needs it is skipped', async () => {
    const away = await findings({ REDIS_URL: 'redis://127.0.0.1:9' });
    expect(away['queue']).toMatchObject({ state: 'fail', found: 'queue_away' });
    expect(away['dead letters']?.state).toBe('skipped');
    expect(away['outbox']?.state).toBe('ok');
  });
});
