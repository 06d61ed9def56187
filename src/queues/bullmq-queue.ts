import { type BackendFactory, type Job, Queue, Worker } from 'bullmq';
import { StewardError } from '../errors.ts';
import type { QueueName } from '../jobs/contract/definition.ts';
import { queueNames } from '../jobs/contract/definition.ts';
import { scrub } from '../scrub.ts';
import type { Telemetry } from '../telemetry.ts';
import { readTraces, type TraceCarrier } from '../trace-context.ts';
import { describeFailed } from './failed-jobs.ts';
import { oldestWaiting } from './oldest-waiting.ts';
import type { QueueConsumer, QueueDelivery, QueueMessage, QueueSystem } from './queue.ts';
import {
  backendQueueName,
  deduplicationId,
  eventJob,
  eventJobOptions,
  eventQueueName,
  maxStalledCount,
  maxStartedAttempts,
  retention,
  workerTimes,
} from './settings.ts';
import { backoffFromError, settle } from './settle.ts';
import { forgetUndone, listUndone } from './undone-jobs.ts';

/** What the two backends differ in. */
export type Backend = {
  readonly kind: 'postgres' | 'redis';
  /** connection of queues: fails fast */
  readonly producer: unknown;
  /** connection of workers: waits for the backend to return */
  readonly consumer: unknown;
  readonly factory: BackendFactory | undefined;
  /** Redis: key prefix with its hash tag */
  readonly keyPrefix: string | undefined;
  server: QueueSystem['server'];
  /** cuts connections that wait for a backend that is away; whoever closes may not wait with them */
  cut(): void;
  close(): Promise<void>;
};

export type BullmqQueueOptions = {
  readonly backend: Backend;
  /** names of queues begin with it */
  readonly prefix: string;
  readonly telemetry: Telemetry;
  /** lock and stall times; tests shorten them */
  readonly times?: { readonly lockDuration: number; readonly stalledInterval: number };
  /** writes a snooze that is too long for the queue to the outbox */
  readonly handOver: (
    message: Pick<QueueMessage, 'job' | 'key' | 'payload' | 'trace'>,
    delayMs: number,
  ) => Promise<void>;
};

// A backend that is away answers nothing at all: whoever publishes has an outbox to go back to.
const publishWithinMs = 5_000;

// Whatever was done is settled in two round trips; what is not is done once more elsewhere.
const closeWithinMs = 3_000;

async function inTime<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new StewardError('queue_away', `The queue did not take messages within ${ms} ms; they stay in the outbox.`),
        ),
      ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}

type Data = {
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly trace?: readonly TraceCarrier[];
};

/**
 * BullMQ behind our interface, the same code on both backends. Jobs have ids of the queue's own making: an id
 * of ours plus deduplication makes the Postgres backend deduplicate against a finished job and drop what
 * comes later, silently (bullmq 6.7; test/queues/queue-conformance.ts tries it).
 */
export function createBullmqQueue({
  backend,
  prefix,
  telemetry,
  times = workerTimes,
  handOver,
}: BullmqQueueOptions): QueueSystem {
  const complain = (queue: string) => (error: Error) =>
    telemetry.emit('queue_error', {
      queue,
      code: (error as { code?: string }).code ?? error.name,
      detail: scrub(error.message),
    });
  const shared = { ...(backend.keyPrefix === undefined ? {} : { prefix: backend.keyPrefix }), skipVersionCheck: false };

  const queues = new Map<QueueName, Queue<Data>>();
  const producerOf = (queue: QueueName): Queue<Data> => {
    let found = queues.get(queue);
    if (!found) {
      found = new Queue<Data>(
        backendQueueName(prefix, queue),
        { ...shared, connection: backend.producer as never, streams: { events: { maxLen: 1_000 } } },
        backend.factory as never,
      );
      found.on('error', complain(queue));
      queues.set(queue, found);
    }
    return found;
  };

  let eventQueue: Queue | undefined;
  const eventProducer = (): Queue => {
    if (!eventQueue) {
      eventQueue = new Queue(
        eventQueueName(prefix),
        { ...shared, connection: backend.producer as never, streams: { events: { maxLen: 100 } } },
        backend.factory as never,
      );
      eventQueue.on('error', complain('events'));
    }
    return eventQueue;
  };

  const failedJob = async (queue: QueueName, id: string): Promise<Job<Data> | undefined> => {
    const job = await producerOf(queue).getJob(id);
    return job && (await job.isFailed()) ? job : undefined;
  };

  const putIn = async (messages: readonly QueueMessage[]): Promise<void> => {
    for (const queue of queueNames) {
      const mine = messages.filter((message) => message.queue === queue);
      if (mine.length === 0) continue;
      await producerOf(queue).addBulk(
        mine.map((message) => ({
          name: message.job,
          data: {
            key: message.key,
            payload: message.payload,
            ...(message.trace === undefined ? {} : { trace: message.trace }),
          },
          opts: {
            attempts: message.attempts,
            backoff: { type: 'custom' },
            ...retention,
            deduplication: { id: deduplicationId(message.job, message.key), keepLastIfActive: true },
          },
        })),
      );
    }
  };

  return {
    kind: backend.kind,

    async publish(messages) {
      await inTime(publishWithinMs, putIn(messages));
    },

    async offerEvents(batches) {
      const jobs = batches.map(({ organizationId, events }) => ({
        name: eventJob,
        data: { version: 1, organizationId, events },
        opts: { ...eventJobOptions, deduplication: { id: organizationId, keepLastIfActive: true } },
      }));
      await inTime(publishWithinMs, eventProducer().addBulk(jobs));
    },

    consume({ queue, concurrency, process }): QueueConsumer {
      const atWork = new Map<string, { name: string; key: string; controller: AbortController }>();
      const waiting = new Set<() => void>();
      const processor = async (
        job: Job<Data>,
        token: string | undefined,
        signal: AbortSignal | undefined,
      ): Promise<unknown> => {
        const id = job.id as string;
        const controller = new AbortController();
        const follow = (): void => controller.abort('cancelled');
        signal?.addEventListener('abort', follow, { once: true });
        const entry = { name: job.name, key: String(job.data?.key ?? ''), controller };
        atWork.set(id, entry);
        const delivery: QueueDelivery = {
          queue,
          id,
          name: job.name,
          key: entry.key,
          payload: job.data?.payload,
          trace: readTraces(job.data?.trace),
          attempt: job.attemptsMade + 1,
          starts: job.attemptsStarted,
          waitedMs: Math.max(0, (job.processedOn ?? Date.now()) - job.timestamp - (job.delay ?? 0)),
          signal: controller.signal,
        };
        try {
          const outcome = await process(delivery);
          return await settle(outcome, job, token as string, (delayMs) =>
            handOver(
              {
                job: job.name,
                key: entry.key,
                payload: (job.data?.payload ?? {}) as Record<string, unknown>,
                trace: delivery.trace ?? [],
              },
              delayMs,
            ),
          );
        } finally {
          signal?.removeEventListener('abort', follow);
          if (atWork.get(id) === entry) atWork.delete(id);
          if (atWork.size === 0) for (const wake of [...waiting]) wake();
        }
      };
      const worker = new Worker<Data>(
        backendQueueName(prefix, queue),
        processor,
        {
          ...shared,
          ...times,
          connection: backend.consumer as never,
          concurrency,
          maxStalledCount,
          maxStartedAttempts,
          ...retention,
          runRetryDelay: 1_000,
          settings: { backoffStrategy: backoffFromError },
        },
        backend.factory as never,
      );
      worker.on('error', complain(queue));
      worker.on('stalled', (jobId) => telemetry.emit('job_stalled', { queue, jobId }));
      // Somebody else may have it by now: stop, and let Postgres' fences decide about what was begun.
      worker.on('lockRenewalFailed', (ids) => {
        for (const id of ids) atWork.get(id)?.controller.abort('lock_lost');
      });
      return {
        queue,
        ready: async () => {
          await worker.waitUntilReady();
        },
        quiet: () => worker.pause(true),
        active: () => [...atWork].map(([id, { name, key }]) => ({ id, name, key })),
        idle: () =>
          atWork.size === 0
            ? Promise.resolve()
            : new Promise((resolve) => {
                const wake = (): void => {
                  waiting.delete(wake);
                  resolve();
                };
                waiting.add(wake);
              }),
        abort(reason) {
          for (const { controller } of atWork.values()) controller.abort(reason);
        },
        async close(force = false) {
          const closing = worker.close(force);
          const timer = setTimeout(() => backend.cut(), closeWithinMs);
          await closing.finally(() => clearTimeout(timer));
        },
      };
    },

    async depth(queue) {
      const counts = await producerOf(queue).getJobCounts('waiting', 'active', 'delayed', 'failed', 'prioritized');
      return {
        waiting: (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0),
        active: counts['active'] ?? 0,
        delayed: counts['delayed'] ?? 0,
        failed: counts['failed'] ?? 0,
      };
    },

    async oldestWaitingMs(queue) {
      const jobs = await oldestWaiting(producerOf(queue), backend.kind);
      return Math.max(0, ...jobs.map((job) => Date.now() - job.timestamp - (job.delay ?? 0)));
    },

    async failed(queue, limit) {
      const jobs = await producerOf(queue).getJobs(['failed'], 0, limit - 1, false);
      return jobs.map(describeFailed);
    },

    async findFailed(queue, id) {
      const job = await failedJob(queue, id);
      return job && describeFailed(job);
    },

    async removeFailed(queue, id) {
      const job = await failedJob(queue, id);
      await job?.remove();
      return job !== undefined;
    },

    undone: (queue) => listUndone(producerOf(queue)),
    forgetUndone: (queue) => forgetUndone(producerOf(queue)),

    server: () => backend.server(),

    async close() {
      const closing = Promise.allSettled(
        [...queues.values(), ...(eventQueue ? [eventQueue] : [])].map((queue) => queue.close()),
      );
      const timer = setTimeout(() => backend.cut(), closeWithinMs);
      await closing.finally(() => clearTimeout(timer));
      await backend.close();
    },
  };
}
