import { Redis } from 'ioredis';

/** Keys of an installation's queues on one server. */
export async function keysOf(url: string, prefix: string): Promise<string[]> {
  const redis = new Redis(url);
  try {
    return await redis.keys(`{${prefix}}*`);
  } finally {
    redis.disconnect();
  }
}
