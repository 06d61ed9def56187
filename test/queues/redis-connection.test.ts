import { Writable } from 'node:stream';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { findRedisServer, type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { done } from '../../src/jobs/contract/result.ts';
import { createLogger } from '../../src/logger.ts';
import { checkQueueServer } from '../../src/queues/preflight.ts';
import { startRedisCluster } from './redis-cluster.ts';
import { consume, createQueueHarness, message, type QueueHarness, until } from './support.ts';

vi.setConfig({ testTimeout: 60_000 });

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const log = createLogger({ level: 'silent' });

async function redis(...flags: string[]): Promise<PrivateRedis> {
  const started = await startPrivateRedis({ flags });
  stops.push(() => started.stop());
  return started;
}

async function harnessOn(url: string): Promise<QueueHarness> {
  const harness = await createQueueHarness({ kind: 'redis', url });
  stops.push(() => harness.close());
  return harness;
}

/** What the check before the first job says about this Redis: a code, or "starts". */
async function verdict(url: string, mode = 'production'): Promise<unknown> {
  const harness = await harnessOn(url);
  return checkQueueServer(harness.system(), { mode, log }).then(
    () => 'starts',
    (error: { code?: string; cause?: { code?: string } }) => error.code,
  );
}

describe.skipIf(findRedisServer() === undefined && process.env['CI'] !== 'true')('Redis', () => {
  test('that may throw locks away keeps production from starting, and is said elsewhere', async () => {
    const evicting = await redis('--maxmemory-policy', 'allkeys-lru');
    expect(await verdict(evicting.url)).toBe('redis_evicts');
    let said = '';
    const destination = new Writable({
      write(chunk, _encoding, next) {
        said += String(chunk);
        next();
      },
    });
    const harness = await harnessOn(evicting.url);
    await checkQueueServer(harness.system(), {
      mode: 'development',
      log: createLogger({ level: 'warn', destination }),
    });
    expect(said).toContain('set maxmemory-policy to noeviction');
    expect(said).toContain('allkeys-lru');
    expect(await verdict((await redis()).url)).toBe('starts');
  });

  test('that does not answer keeps a process from starting', async () => {
    expect(await verdict('redis://127.0.0.1:9')).toBe('queue_away');
    expect(await verdict('redis://127.0.0.1:9,redis://127.0.0.1:9')).toBe('queue_away');
  });

  test('Cluster is taken by several nodes only, and every node is asked for its policy', async () => {
    const cluster = await startRedisCluster(['--maxmemory-policy', 'noeviction']);
    stops.push(() => cluster.stop());
    const [first] = cluster.nodes as [PrivateRedis];
    expect(await verdict(first.url)).toBe('redis_cluster');
    expect(await verdict(cluster.url)).toBe('starts');
    const single = await redis();
    expect(await verdict(`${single.url},${single.url}`)).toBe('redis_cluster');
    await cluster.set(2, 'maxmemory-policy', 'volatile-lru');
    expect(await verdict(cluster.url)).toBe('redis_evicts');
  });

  test('gone: who publishes hears it at once, a worker waits and goes on when it is back', async () => {
    const first = await redis();
    const port = Number(new URL(first.url).port);
    const harness = await harnessOn(first.url);
    const system = harness.system();
    const { seen } = consume(system, () => done());
    await system.publish([message('before')]);
    await until('the first delivery', () => seen.length === 1);
    await first.kill();
    const failedAfter = async (): Promise<number> => {
      const startedAt = performance.now();
      await expect(system.publish([message('meanwhile')])).rejects.toThrow();
      return performance.now() - startedAt;
    };
    // The first may still meet the dying connection; from then on nothing is kept for later.
    await failedAfter();
    expect(await failedAfter()).toBeLessThan(1_000);
    const second = await startPrivateRedis({ port });
    stops.push(() => second.stop());
    await until('a Redis that takes messages again', () =>
      system.publish([message('after')]).then(
        () => true,
        () => false,
      ),
    );
    await until('the worker', () => seen.some(({ key }) => key === 'after'));
    expect(seen.map(({ key }) => key)).not.toContain('meanwhile');
  });

  test('gone: a process that is told to stop does not wait for it', async () => {
    const server = await redis();
    const harness = await harnessOn(server.url);
    const system = harness.system();
    const { consumer, seen } = consume(system, () => done());
    await system.publish([message('x')]);
    await until('the delivery', () => seen.length === 1);
    await server.kill();
    const startedAt = performance.now();
    await consumer.quiet();
    await consumer.close();
    await system.close();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test('that was never there: who publishes hears it within the time of an outbox batch', async () => {
    const system = (await harnessOn('redis://127.0.0.1:9')).system();
    const startedAt = performance.now();
    await expect(system.publish([message('x')])).rejects.toMatchObject({ code: 'queue_away' });
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });
});
