import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRedisServer } from '../../src/embedded/redis.ts';
import { queueConformance } from './queue-conformance.ts';
import { type RedisClusterForTests, startRedisCluster } from './redis-cluster.ts';
import { keysOf } from './redis-keys.ts';
import { createQueueHarness, message } from './support.ts';

describe.skipIf(findRedisServer() === undefined && process.env['CI'] !== 'true')('queue on a Redis Cluster', () => {
  let cluster: RedisClusterForTests;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.stop());

  queueConformance(() => ({ kind: 'redis', url: cluster.url }));

  test('all keys of all queues of an installation are on one node, another installation may be on another', async () => {
    const used = new Set<number>();
    // Prefixes are random: of twenty, all on one node of three is as likely as one in a thousand million.
    for (let i = 0; i < 20; i++) {
      const harness = await createQueueHarness({ kind: 'redis', url: cluster.url });
      const system = harness.system();
      await system.publish((['quick', 'bulk', 'zoom'] as const).map((queue) => message('x', { queue })));
      const withKeys = await Promise.all(cluster.nodes.map(({ url }) => keysOf(url, harness.prefix)));
      const on = withKeys.flatMap((keys, node) => (keys.length > 0 ? [node] : []));
      expect(on).toHaveLength(1);
      used.add(on[0] as number);
      await harness.close();
    }
    expect(used.size).toBeGreaterThan(1);
  });
});
