import { Redis } from 'ioredis';
import { watch } from './watch.ts';

let watching = false;

const watchAll = (values: readonly unknown[]): void => {
  for (const value of values.flat(3))
    if (typeof value === 'string' || value instanceof Uint8Array) watch('redis command', value);
};

/** From now on every command of this process is watched: also of jobs that are gone by the end. */
export function watchCommands(): void {
  if (watching) return;
  watching = true;
  const { sendCommand } = Redis.prototype;
  Redis.prototype.sendCommand = function watched(this: Redis, command, stream) {
    watchAll(command.args);
    return sendCommand.call(this, command, stream);
  };
}

const readers: Readonly<Record<string, (redis: Redis, key: string) => Promise<unknown>>> = {
  string: (redis, key) => redis.get(key),
  hash: (redis, key) => redis.hgetall(key),
  list: (redis, key) => redis.lrange(key, 0, -1),
  set: (redis, key) => redis.smembers(key),
  zset: (redis, key) => redis.zrange(key, '0', '-1'),
  stream: (redis, key) => redis.xrange(key, '-', '+'),
};

/** Looks at every key and value. A Redis that is gone holds nothing. */
export async function watchValues(url: string): Promise<void> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  try {
    await redis.connect();
  } catch {
    return;
  }
  try {
    for await (const keys of redis.scanStream({ count: 1_000 }) as AsyncIterable<string[]>) {
      for (const key of keys) {
        watch('redis value', key);
        const read = readers[await redis.type(key)];
        if (read) watch('redis value', JSON.stringify(await read(redis, key)));
      }
    }
  } finally {
    redis.disconnect();
  }
}
