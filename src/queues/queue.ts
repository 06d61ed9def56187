import type { EventBatch } from '../db/event-delivery-repository.ts';
import type { QueueName } from '../jobs/contract/definition.ts';
import type { JobOutcome } from '../jobs/contract/run-job.ts';
import type { TraceCarrier } from '../trace-context.ts';

/** A job on its way into the queue. */
export type QueueMessage = {
  readonly queue: QueueName;
  readonly job: string;
  /** equal job and key wait as one; one that comes while it is at work makes it run once more */
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly attempts: number;
  /** where it was said, each of those merged into it */
  readonly trace?: readonly TraceCarrier[];
};

/** A job that a worker holds. */
export type QueueDelivery = {
  readonly queue: QueueName;
  readonly id: string;
  readonly name: string;
  readonly key: string;
  readonly payload: unknown;
  /** where it was said, each of those merged into it */
  readonly trace?: readonly TraceCarrier[];
  /** 1 the first time */
  readonly attempt: number;
  /** how often it was begun, snoozes and shutdowns included */
  readonly starts: number;
  /** from when it could run to when it did */
  readonly waitedMs: number;
  readonly signal: AbortSignal;
};

/** Jobs of one queue being worked on in this process. */
export type QueueConsumer = {
  readonly queue: QueueName;
  /** resolves when the connection stands and jobs are taken */
  ready(): Promise<void>;
  /** takes no new job; those at work go on */
  quiet(): Promise<void>;
  /** ids and names of the jobs at work */
  active(): readonly { readonly id: string; readonly name: string; readonly key: string }[];
  /** resolves when nothing is at work; takes no new job meanwhile only after `quiet()` */
  idle(): Promise<void>;
  /** aborts every job at work with this reason */
  abort(reason: 'shutdown'): void;
  /** closes; with `force` without waiting for jobs at work */
  close(force?: boolean): Promise<void>;
};

export type QueueDepth = {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
};

/** What failed for good: looked at by operators. */
export type FailedJob = {
  readonly id: string;
  readonly job: string;
  readonly key: string;
  /** ids and scalars */
  readonly payload: Readonly<Record<string, string | number | boolean | null>>;
  readonly reason: string;
  /** attempts that were used */
  readonly attempts: number;
  readonly saidAtMs: number;
  readonly failedAtMs: number;
};

/** A job that waits, or that somebody had begun. */
export type UndoneJob = Pick<QueueMessage, 'job' | 'key' | 'payload'> & {
  readonly trace: readonly TraceCarrier[];
  /** how long it was still to wait */
  readonly delayMs: number;
};

/** How a delivery is to be settled; see settle.ts. */
export type Process = (delivery: QueueDelivery) => Promise<JobOutcome>;

/** The queue, on either backend. Jobs and the outbox know nothing else of it. */
export type QueueSystem = {
  readonly kind: 'postgres' | 'redis';
  /** Puts messages in; all or an error. Fails fast when the backend is away. A second time is harmless. */
  publish(messages: readonly QueueMessage[]): Promise<void>;
  /**
   * Puts batches of events on the queue of the main app: one organization's waits as one, a batch that comes while the one
   * before is at work follows it. Fails fast when the backend is away.
   */
  offerEvents(batches: readonly EventBatch[]): Promise<void>;
  /** Works on a queue in this process. */
  consume(options: {
    readonly queue: QueueName;
    readonly concurrency: number;
    readonly process: Process;
  }): QueueConsumer;
  depth(queue: QueueName): Promise<QueueDepth>;
  /** For how long the job that waits longest has been waiting; 0 when none does. */
  oldestWaitingMs(queue: QueueName): Promise<number>;
  failed(queue: QueueName, limit: number): Promise<readonly FailedJob[]>;
  /** One of them, or undefined: no job of this id has failed. */
  findFailed(queue: QueueName, id: string): Promise<FailedJob | undefined>;
  /** Forgets one of them. @returns whether it was there */
  removeFailed(queue: QueueName, id: string): Promise<boolean>;
  /** Everything a queue still owes; complete only while nobody works on it. */
  undone(queue: QueueName): Promise<readonly UndoneJob[]>;
  /** Forgets that, except what a worker died at so lately that its lock holds: it is done once more if anybody works there. */
  forgetUndone(queue: QueueName): Promise<void>;
  /** Which server this is: version, and on Redis its run id and eviction policy. */
  server(): Promise<{
    readonly version: string;
    readonly runId: string | null;
    readonly evictionPolicy: string | null;
  }>;
  close(): Promise<void>;
};
