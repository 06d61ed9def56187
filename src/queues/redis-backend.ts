import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { Secret } from '../secret.ts';
import type { Backend } from './bullmq-queue.ts';
import { type RedisAddress, redisAddress } from './redis-address.ts';
import { redisFacts } from './redis-facts.ts';

const slowestReconnectMs = 2_000;
const retryStrategy = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), slowestReconnectMs);

// Producers fail fast, so that the outbox keeps what cannot be said; workers wait for as long as it takes.
const commandTimeoutMs = 5_000;
const failFast = { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: commandTimeoutMs } as const;
const wait = { enableOfflineQueue: true, maxRetriesPerRequest: null } as const;
const connectTimeoutMs = 5_000;
type Patience = typeof failFast | typeof wait;

type Client = Redis | Cluster;

function connect({ nodes, cluster, options: { db, ...options } }: RedisAddress, patience: Patience): Client {
  if (!cluster) {
    const one: RedisOptions = {
      ...options,
      connectTimeout: connectTimeoutMs,
      ...nodes[0],
      ...(db === undefined ? {} : { db }),
      ...patience,
    };
    return new Redis({ ...one, retryStrategy } as Omit<RedisOptions, 'replyMapping'>);
  }
  const { enableOfflineQueue, ...ofNodes } = patience;
  return new Cluster([...nodes], {
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...options, ...ofNodes },
    // Names that a managed cluster announces are certified as names, not as addresses.
    ...(options.tls ? { dnsLookup: (host, done) => done(null, host) } : {}),
  } satisfies ClusterOptions);
}

/**
 * The queue on Redis or Valkey, one server or a cluster. The prefix is a hash tag: all keys of all queues are on one
 * node of a cluster, because BullMQ's scripts touch many keys at once. Clients are ours, duplicates that BullMQ makes
 * of them included: it leaves those that cannot say farewell, to a server that is away, trying for ever.
 */
export function createRedisQueueBackend({ url, prefix }: { url: Secret; prefix: string }): Backend {
  const address = redisAddress(url);
  const open = new Set<Client>();
  const keep = (client: Client): Client => {
    open.add(client);
    client.once('end', () => open.delete(client));
    // BullMQ listens too, but neither before it has the client nor after it has closed.
    client.on('error', () => {});
    const duplicate = client.duplicate.bind(client) as (...how: never[]) => Client;
    return Object.assign(client, { duplicate: (...how: never[]) => keep(duplicate(...how)) });
  };
  const cut = (): void => {
    for (const client of open) {
      // Between two attempts ioredis only forgets the next one: what waits there would wait for ever. One more attempt,
      // after which it may not go on, ends it and whatever waits.
      if (client instanceof Redis && client.status === 'reconnecting')
        void client
          .connect()
          .catch(() => {})
          .then(() => client.disconnect());
      else client.disconnect();
    }
  };
  // Made when they are first asked for, so that nothing is opened before. They connect by themselves: one that waits
  // to be told keeps BullMQ's first failure for ever.
  let producer: Client | undefined;
  let consumer: Client | undefined;
  return {
    kind: 'redis',
    get producer() {
      producer ??= keep(connect(address, failFast));
      return producer;
    },
    get consumer() {
      consumer ??= keep(connect(address, wait));
      return consumer;
    },
    factory: undefined,
    keyPrefix: `{${prefix}}`,
    server: () => redisFacts(address),
    cut,
    close: async () => cut(),
  };
}
