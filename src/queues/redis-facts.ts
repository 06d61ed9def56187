import { Redis, type RedisOptions } from 'ioredis';
import { StewardError } from '../errors.ts';
import type { QueueSystem } from './queue.ts';
import type { RedisAddress, RedisNode } from './redis-address.ts';

type ServerFacts = Awaited<ReturnType<QueueSystem['server']>>;

const connectWithinMs = 5_000;

/** INFO of one server, and the addresses of the masters of its cluster. Connects once, without trying again. */
async function askNode(node: RedisNode, options: RedisAddress['options']) {
  const once: RedisOptions = {
    ...options,
    ...node,
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    connectTimeout: connectWithinMs,
    commandTimeout: connectWithinMs,
  };
  const redis = new Redis({ ...once, retryStrategy: null } as Omit<RedisOptions, 'replyMapping'>);
  redis.on('error', () => {});
  try {
    await redis.connect();
    const info = await redis.info();
    const field = (name: string): string | null => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? null;
    const inCluster = field('cluster_enabled') === '1';
    return {
      version: field('valkey_version') ?? field('redis_version') ?? '',
      runId: field('run_id'),
      evictionPolicy: field('maxmemory_policy'),
      inCluster,
      masters: inCluster ? mastersOf(String(await redis.cluster('NODES')), node) : [],
    };
  } finally {
    redis.disconnect();
  }
}

/** Masters in an answer to CLUSTER NODES; a node that does not know its own address is the one that answered. */
function mastersOf(nodes: string, asked: RedisNode): RedisNode[] {
  return nodes
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , flags = '']) => /\bmaster\b/.test(flags) && !/\bfail\b|noaddr/.test(flags))
    .map(([, address = '']) => {
      const [place = ''] = address.split('@');
      const at = place.lastIndexOf(':');
      return { host: place.slice(0, at) || asked.host, port: Number(place.slice(at + 1)) };
    });
}

/** The first node that answers; the last failure if none does. */
async function askAny({ nodes, options }: RedisAddress) {
  let failure: unknown;
  for (const node of nodes) {
    try {
      return await askNode(node, options);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * Which Redis this is. In a cluster the policy is `noeviction` only if every master has it: else the first other one.
 * @throws StewardError `redis_cluster` when REDIS_URL names one server and it is a node of a cluster, or the reverse
 */
export async function redisFacts(address: RedisAddress): Promise<ServerFacts> {
  const { inCluster, masters, version, runId, evictionPolicy } = await askAny(address);
  if (inCluster && !address.cluster)
    throw new StewardError(
      'redis_cluster',
      'REDIS_URL names one node of a Redis Cluster: name several, separated by commas (an endpoint that stands for the whole cluster twice).',
    );
  if (!inCluster && address.cluster)
    throw new StewardError(
      'redis_cluster',
      'REDIS_URL names several servers that are no Redis Cluster: name one of them.',
    );
  const facts = await Promise.all(masters.map((node) => askNode(node, address.options)));
  const policies = [evictionPolicy, ...facts.map((fact) => fact.evictionPolicy)];
  return { version, runId, evictionPolicy: policies.find((policy) => policy !== 'noeviction') ?? 'noeviction' };
}
