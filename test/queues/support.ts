import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Database } from '../../src/db/database.ts';
import { insertOutbox } from '../../src/db/outbox-repository.ts';
import { defineJob } from '../../src/jobs/contract/define-job.ts';
import { done } from '../../src/jobs/contract/result.ts';
import { exponential } from '../../src/jobs/contract/retry.ts';
import type { JobOutcome } from '../../src/jobs/contract/run-job.ts';
import { createBullmqQueue } from '../../src/queues/bullmq-queue.ts';
import { createPostgresQueueBackend, migratePostgresQueue } from '../../src/queues/postgres-backend.ts';
import type { Process, QueueConsumer, QueueDelivery, QueueMessage, QueueSystem } from '../../src/queues/queue.ts';
import { createRedisQueueBackend } from '../../src/queues/redis-backend.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry, type Telemetry } from '../../src/telemetry.ts';

/** Times short enough to wait for in a test: what is tried is the order of events, not their length. */
export const shortTimes = { lockDuration: 1_000, stalledInterval: 250 };

/** A promise with its resolvers, to wait for instead of sleeping. */
export function signal<T = void>(): { promise: Promise<T>; fire: (value: T) => void } {
  let fire: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    fire = resolve;
  });
  return { promise, fire };
}

/** Waits until `holds` says so; fails by the test's time-out, naming what it waited for. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Waited ${withinMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export type QueueHarness = {
  /** names of its queues begin with it */
  readonly prefix: string;
  readonly telemetry: Telemetry;
  readonly handedOver: { job: string; key: string; delayMs: number }[];
  /** set: the outbox takes nothing */
  outboxAway: boolean;
  /** a queue system of its own prefix; another call plays another process on the same queues */
  system(times?: { lockDuration: number; stalledInterval: number }): QueueSystem;
  close(): Promise<void>;
};

export type QueueServer =
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'redis'; readonly url: string };

/** Queues under a prefix that no other test has. */
export async function createQueueHarness(server: QueueServer): Promise<QueueHarness> {
  if (server.kind === 'postgres') await migratePostgresQueue(new Secret(server.url));
  const prefix = `t${randomUUID().slice(0, 8)}`;
  const telemetry = createTelemetry();
  const handedOver: { job: string; key: string; delayMs: number }[] = [];
  const systems: QueueSystem[] = [];
  const consumers: QueueConsumer[] = [];
  const harness: QueueHarness = {
    prefix,
    telemetry,
    handedOver,
    outboxAway: false,
    system(times = shortTimes) {
      const url = new Secret(server.url);
      const backend =
        server.kind === 'postgres'
          ? createPostgresQueueBackend({ url, concurrency: 8 })
          : createRedisQueueBackend({ url, prefix });
      const system = createBullmqQueue({
        backend,
        prefix,
        telemetry,
        times,
        handOver: async ({ job, key }, delayMs) => {
          if (harness.outboxAway) throw new Error('connect ECONNREFUSED');
          handedOver.push({ job, key, delayMs });
        },
      });
      systems.push(system);
      const consumeAndRemember: QueueSystem['consume'] = (options) => {
        const consumer = system.consume(options);
        consumers.push(consumer);
        return consumer;
      };
      return { ...system, consume: consumeAndRemember };
    },
    // Whatever a test that failed left open too: else its pool waits for it, and hides the failure.
    close: async () => {
      await Promise.all(consumers.map((consumer) => consumer.close(true)));
      await Promise.all(systems.map((system) => system.close()));
    },
  };
  return harness;
}

export const message = (key: string, over: Partial<QueueMessage> = {}): QueueMessage => ({
  queue: 'quick',
  job: 'try-it',
  key,
  payload: { key },
  attempts: 3,
  ...over,
});

/** A consumer that remembers what it was given. */
export function consume(
  system: QueueSystem,
  handle: (delivery: QueueDelivery, count: number) => Promise<JobOutcome> | JobOutcome,
  { queue = 'quick', concurrency = 1 }: { queue?: 'quick' | 'bulk' | 'zoom'; concurrency?: number } = {},
): { consumer: QueueConsumer; seen: QueueDelivery[] } {
  const seen: QueueDelivery[] = [];
  const process: Process = async (delivery) => {
    seen.push(delivery);
    return handle(delivery, seen.length);
  };
  return { consumer: system.consume({ queue, concurrency, process }), seen };
}

/** A job that only tests have. */
export const tryIt = defineJob({
  name: 'try-it',
  queue: 'quick',
  version: 1,
  payload: z.strictObject({ key: z.string() }),
  attempts: 3,
  retry: exponential({ firstMs: 10, capMs: 50 }),
  timeoutMs: 10_000,
  unique: ({ key }) => key,
  handler: async () => done(),
});

export const say = (db: Database, key: string, delayMs = 0): Promise<void> =>
  db.transaction().execute((trx) => insertOutbox(trx, { job: 'try-it', key, payload: { key }, delayMs }));
