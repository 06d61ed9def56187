import { Redis } from 'ioredis';
import { freePort } from '../../src/embedded/free-port.ts';
import { type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { until } from './support.ts';

const slots = 16_384;

export type RedisClusterForTests = {
  /** REDIS_URL: all nodes, separated by commas */
  readonly url: string;
  readonly nodes: readonly PrivateRedis[];
  /** CONFIG SET on one node */
  set(node: number, name: string, value: string): Promise<unknown>;
  stop(): Promise<void>;
};

async function ask(url: string, work: (redis: Redis) => Promise<unknown>): Promise<string> {
  const redis = new Redis(url);
  try {
    return String(await work(redis));
  } finally {
    redis.disconnect();
  }
}

/** Three masters on this machine, each with a third of the slots, no replicas. `flags` go to every node. */
export async function startRedisCluster(flags: readonly string[] = []): Promise<RedisClusterForTests> {
  const nodes: PrivateRedis[] = [];
  const buses: number[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    for (let i = 0; i < 3; i++) {
      const bus = await freePort();
      buses.push(bus);
      nodes.push(
        await startPrivateRedis({ flags: ['--cluster-enabled', 'yes', '--cluster-port', `${bus}`, ...flags] }),
      );
    }
    const [first, ...others] = nodes as [PrivateRedis, ...PrivateRedis[]];
    for (const [i, node] of nodes.entries()) {
      const from = Math.ceil((slots * i) / nodes.length);
      const to = Math.ceil((slots * (i + 1)) / nodes.length) - 1;
      await ask(node.url, (redis) => redis.call('CLUSTER', 'ADDSLOTSRANGE', from, to));
      await ask(node.url, (redis) => redis.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1));
    }
    for (const [i, node] of others.entries())
      await ask(first.url, (redis) =>
        redis.call('CLUSTER', 'MEET', '127.0.0.1', new URL(node.url).port, buses[i + 1] as number),
      );
    for (const node of nodes)
      await until('a cluster that knows all its nodes', async () => {
        const info = await ask(node.url, (redis) => redis.call('CLUSTER', 'INFO'));
        return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
      });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: nodes.map((node) => node.url).join(','),
    nodes,
    set: (node, name, value) => ask((nodes[node] as PrivateRedis).url, (redis) => redis.config('SET', name, value)),
    stop,
  };
}
