import type { QueueName } from '../jobs/contract/definition.ts';

/**
 * With these a job whose worker was killed goes on elsewhere after 8–9 s (docs/queues.md has the measurement). The
 * defaults take a minute. Handlers must not block the event loop for longer than half a lock.
 */
export const workerTimes = { lockDuration: 8_000, stalledInterval: 1_000 } as const;

/** A worker that dies is not the job's fault until it has happened this often. */
export const maxStalledCount = 5;

/** Begun this often, a job is poison, whatever the outcomes were. Long snoozes go round it, see settle.ts. */
export const maxStartedAttempts = 60;

/** Finished jobs are kept for looking at, bounded by count and age: removing many at once blocks Redis. */
export const retention = {
  removeOnComplete: { count: 1_000, age: 3_600, limit: 200 },
  removeOnFail: { count: 10_000, age: 14 * 86_400, limit: 200 },
} as const;

/** A snooze longer than this waits in the outbox: in Postgres, by the database clock, safe from a wiped queue. */
export const longestSnoozeInQueueMs = 60_000;

/** Snoozed this often in the queue, it goes through the outbox too, so that it is not taken for poison. */
export const snoozesInQueue = 40;

/** Name at the backend: `steward-quick`. */
export const backendQueueName = (prefix: string, queue: QueueName): string => `${prefix}-${queue}`;

/** The queue that the main app works on, `steward-events`, and the one job that is in it. */
export const eventQueueName = (prefix: string): string => `${prefix}-events`;
export const eventJob = 'events';

/**
 * A batch that the main app fails is tried again after 1, 2, 4 … 64 s, then it is let go: the courier offers it again. Kept
 * for looking at are only those.
 */
export const eventJobOptions = {
  attempts: 8,
  backoff: { type: 'exponential', delay: 1_000 },
  removeOnComplete: true,
  removeOnFail: { count: 1_000, age: 86_400, limit: 200 },
} as const;

/** Jobs about the same wait as one. */
export const deduplicationId = (job: string, key: string): string => `${job}/${key}`;
