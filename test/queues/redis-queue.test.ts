import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queueConformance } from './queue-conformance.ts';
import { mustHaveRedis, type RedisForTests, redisForTests, redisLacking } from './redis-server.ts';

test.runIf(mustHaveRedis)('there is a Redis to test with (CI)', () => {
  expect(redisLacking).toBeUndefined();
});

describe.skipIf(redisLacking !== undefined)(
  `queue on Redis${redisLacking === undefined ? '' : ` – ${redisLacking}`}`,
  () => {
    let redis: RedisForTests;
    beforeAll(async () => {
      redis = await redisForTests();
    });
    afterAll(() => redis?.stop());
    queueConformance(() => ({ kind: 'redis', url: redis.url }));
  },
);
