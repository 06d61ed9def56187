import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisForTests, redisForTests, redisLacking } from './redis-server.ts';

/** Where the queue of a test is. */
export type QueueOfTest = {
  readonly kind: 'postgres' | 'redis';
  /** null: the queue is on the database of the test */
  redisUrl(): string | null;
};

/**
 * The same tests on Postgres and on Redis. Without a Redis the second half is skipped with a line that says so, and
 * fails under CI.
 */
export function onBothBackends(what: string, body: (queue: QueueOfTest) => void): void {
  describe(`${what}, queue on Postgres`, () => {
    body({ kind: 'postgres', redisUrl: () => null });
  });
  test.runIf(process.env['CI'] === 'true')(`${what}: there is a Redis to test with (CI)`, () => {
    expect(redisLacking).toBeUndefined();
  });
  describe.skipIf(redisLacking !== undefined)(`${what}, queue on Redis`, () => {
    let redis: RedisForTests | undefined;
    beforeAll(async () => {
      redis = await redisForTests();
    });
    afterAll(() => redis?.stop());
    body({ kind: 'redis', redisUrl: () => (redis as RedisForTests).url });
  });
}
