import { Redis, type RedisOptions } from 'ioredis';
import type { Secret } from '../secret.ts';
import type { Backend } from './bullmq-queue.ts';

function optionsOf(url: string): RedisOptions {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const db = Number(pathname.slice(1) || '0');
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || '6379'),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(db === 0 ? {} : { db }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
    keepAlive: 10_000,
  };
}

const slowestReconnectMs = 2_000;
const retryStrategy = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), slowestReconnectMs);

/**
 * The queue on Redis or Valkey. Options are passed, never a client: a client of ours would keep the process
 * alive. Producers fail fast, so that the outbox keeps what cannot be said; workers wait. The prefix is a
 * hash tag: all keys of all queues are on one node of a cluster.
 */
export function createRedisQueueBackend({ url, prefix }: { url: Secret; prefix: string }): Backend {
  const base = optionsOf(url.reveal());
  return {
    kind: 'redis',
    producer: { ...base, enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 5_000, retryStrategy },
    consumer: { ...base, maxRetriesPerRequest: null, retryStrategy },
    factory: undefined,
    keyPrefix: `{${prefix}}`,
    async server() {
      const options: RedisOptions = { ...base, lazyConnect: true, maxRetriesPerRequest: 1, connectTimeout: 5_000 };
      const redis = new Redis({ ...options, retryStrategy: null } as Omit<RedisOptions, 'replyMapping'>);
      redis.on('error', () => {});
      try {
        await redis.connect();
        const info = await redis.info();
        const field = (name: string): string | null => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? null;
        return {
          version: field('valkey_version') ?? field('redis_version') ?? '',
          runId: field('run_id'),
          evictionPolicy: field('maxmemory_policy'),
        };
      } finally {
        redis.disconnect();
      }
    },
    close: async () => {},
  };
}
