import { findRedisServer, type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { watchCommands } from '../support/canary/watch-redis.ts';

watchCommands();

export type RedisForTests = { readonly url: string; readonly own: PrivateRedis | undefined; stop(): Promise<void> };

/** Why no Redis is there to test with, or undefined. Under CI that is a failure, not a reason to skip. */
export const redisLacking: string | undefined =
  findRedisServer() === undefined && (process.env['REDIS_URL'] ?? '') === ''
    ? 'neither redis-server nor valkey-server is on PATH, and REDIS_URL is not set: the Redis half of the queue is NOT tested'
    : undefined;

export const mustHaveRedis = process.env['CI'] === 'true';

if (redisLacking !== undefined) process.stderr.write(`\nSKIPPED: ${redisLacking}\n`);

/** A private Redis where there is a program, else the one of REDIS_URL. */
export async function redisForTests(): Promise<RedisForTests> {
  if (findRedisServer() !== undefined) {
    const own = await startPrivateRedis();
    return { url: own.url, own, stop: () => own.stop() };
  }
  const url = process.env['REDIS_URL'];
  if (url === undefined || url === '') throw new Error(redisLacking);
  return { url, own: undefined, stop: async () => {} };
}
