import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { watchValues } from '../support/canary/watch-redis.ts';
import { type RedisForTests, redisForTests, redisLacking } from './redis-server.ts';

/** Where the queue of a test is. */
export type QueueOfTest = {
  readonly kind: 'postgres' | 'redis';
  /** null: the queue is on the database of the test */
  redisUrl(): string | null;
  /** the Redis of this test alone; undefined on Postgres, or where there is no program to start */
  redis(): PrivateRedis | undefined;
  /** starts that Redis again, empty, on its port, after it was killed */
  startAgain(): Promise<void>;
};

/**
 * The same tests on Postgres and on Redis. Without a Redis the second half is skipped with a line that says so, and
 * fails under CI.
 */
export function onBothBackends(what: string, body: (queue: QueueOfTest) => void): void {
  describe(`${what}, queue on Postgres`, () => {
    body({ kind: 'postgres', redisUrl: () => null, redis: () => undefined, startAgain: async () => {} });
  });
  test.runIf(process.env['CI'] === 'true')(`${what}: there is a Redis to test with (CI)`, () => {
    expect(redisLacking).toBeUndefined();
  });
  describe.skipIf(redisLacking !== undefined)(`${what}, queue on Redis`, () => {
    let redis: RedisForTests | undefined;
    beforeAll(async () => {
      redis = await redisForTests();
    });
    afterAll(async () => {
      if (redis) await watchValues(redis.url);
      await redis?.stop();
    });
    body({
      kind: 'redis',
      redisUrl: () => (redis as RedisForTests).url,
      redis: () => redis?.own,
      async startAgain() {
        const own = await startPrivateRedis({ port: Number(new URL((redis as RedisForTests).url).port) });
        redis = { url: own.url, own, stop: () => own.stop() };
      },
    });
  });
}
