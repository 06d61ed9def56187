import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRedisServer, type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

const database = useDatabase();

describe.skipIf(findRedisServer() === undefined && process.env['CI'] !== 'true')('queues move', () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    redis = await startPrivateRedis();
    expect(await playCli(['migrate'], { env: { DATABASE_URL: database.url } })).toMatchObject({ code: 0 });
  });
  afterAll(() => redis?.stop());

  const steward = (line: readonly string[], env: Record<string, string> = {}) =>
    playCli(['queues', 'move', ...line], { env: { DATABASE_URL: database.url, ...env } });

  test('there and back, and says what to do next and how to undo it', async () => {
    const there = await steward(['--to', 'redis', '--reason', 'second machine'], { REDIS_URL: redis.url });
    expect(there).toMatchObject({ code: 0, out: 'The queue is on redis: 0 jobs carried over, 0 owed anew.\n' });
    expect(there.err).toContain('Start every worker with STEWARD_QUEUE=redis and REDIS_URL.');
    expect(there.err).toContain('To undo: zoom-steward queues move --to postgres');
    expect(await playCli(['migrate'], { env: { DATABASE_URL: database.url } })).toMatchObject({
      code: 1,
      err: expect.stringContaining("This installation's queue is redis"),
    });
    const back = await steward(['--to', 'postgres', '--reason', 'too much', '--json'], { REDIS_URL: redis.url });
    expect(back.code).toBe(0);
    expect(JSON.parse(back.out)).toEqual({
      moved: true,
      from: 'redis',
      to: 'postgres',
      carried: 0,
      rebuilt: 0,
      deadLetters: 0,
    });
    expect(await steward(['--to', 'postgres', '--reason', 'again'], { REDIS_URL: redis.url })).toMatchObject({
      code: 0,
      out: 'The queue is on postgres already; nothing changed.\n',
    });
  });

  test('without a reason, without REDIS_URL, to nowhere, or to a Redis that is away or evicts, nothing is changed', async () => {
    expect((await steward(['--to', 'redis'], { REDIS_URL: redis.url })).code).toBe(3);
    expect((await steward(['--to', 'redis', '--reason', 'x'])).err).toContain('REDIS_URL: ');
    expect((await steward(['--to', 'kafka', '--reason', 'x'])).code).toBe(2);
    const away = await steward(['--to', 'redis', '--reason', 'x'], { REDIS_URL: 'redis://127.0.0.1:9' });
    expect(away).toMatchObject({ code: 1, err: expect.stringContaining('does not answer') });
    const evicting = await startPrivateRedis({ flags: ['--maxmemory-policy', 'allkeys-lru'] });
    try {
      const refused = await steward(['--to', 'redis', '--reason', 'x'], { REDIS_URL: evicting.url });
      expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('set it to noeviction') });
    } finally {
      await evicting.stop();
    }
    expect(await playCli(['migrate'], { env: { DATABASE_URL: database.url } })).toMatchObject({ code: 0 });
  });
});
