import type { Database } from '../db/database.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { Secret } from '../secret.ts';
import type { Telemetry } from '../telemetry.ts';
import { createBullmqQueue } from './bullmq-queue.ts';
import { createPostgresQueueBackend } from './postgres-backend.ts';
import type { QueueSystem } from './queue.ts';
import { createRedisQueueBackend } from './redis-backend.ts';

export type QueueChoice = {
  readonly queue: 'postgres' | 'redis';
  readonly databaseUrl: Secret;
  readonly redisUrl: Secret | null;
  readonly queuePrefix: string;
  readonly concurrency: Readonly<Record<string, number>>;
};

/** The queue of this installation. Opens nothing until it is used. */
export function createQueue(
  { queue, databaseUrl, redisUrl, queuePrefix, concurrency }: QueueChoice,
  {
    db,
    telemetry,
    times,
  }: { db: Database; telemetry: Telemetry; times?: { lockDuration: number; stalledInterval: number } },
): QueueSystem {
  const backend =
    queue === 'redis'
      ? createRedisQueueBackend({ url: redisUrl as Secret, prefix: queuePrefix })
      : createPostgresQueueBackend({
          url: databaseUrl,
          concurrency: Object.values(concurrency).reduce((sum, n) => sum + n, 0),
        });
  return createBullmqQueue({
    backend,
    prefix: queuePrefix,
    telemetry,
    ...(times === undefined ? {} : { times }),
    handOver: ({ job, key, payload, trace = [] }, delayMs) =>
      db
        .transaction()
        .execute((trx) => insertOutbox(trx, { job, key, payload: payload as Record<string, string>, delayMs, trace })),
  });
}
