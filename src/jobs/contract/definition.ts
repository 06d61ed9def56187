import type { z } from 'zod';
import type { Database } from '../../db/database.ts';
import type { Logger } from '../../logger.ts';
import type { JobServices } from '../services/job-services.ts';
import type { JobResult } from './result.ts';

/**
 * quick: answers to a change, milliseconds each. bulk: slices of long runs. zoom: whatever waits for Zoom.
 * Three, so that neither a run of a million members nor a slow Zoom is in the way of one member.
 */
export const queueNames = ['quick', 'bulk', 'zoom'] as const;
export type QueueName = (typeof queueNames)[number];

/** Ids and a few scalars: no token, no address. */
export type Payload = Readonly<Record<string, string | number | boolean | null>>;

/** How a failed attempt goes on: after how many milliseconds, or not at all. Pure. */
export type RetryPolicy = (failure: { readonly attempt: number; readonly error: unknown }) => number | 'give_up';

export type JobDefinition<P extends Payload = Payload> = {
  /** a literal that never changes; a rename adds the old name to `aliases` */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly queue: QueueName;
  /** version of the payload: grows when an older worker could misread it */
  readonly version: number;
  readonly payload: z.ZodType<P>;
  /** throws at most; snoozes and shutdowns do not count */
  readonly attempts: number;
  readonly retry: RetryPolicy;
  /** after this the signal is aborted with the reason `timeout` */
  readonly timeoutMs: number;
  /**
   * What it is about: messages with equal job and key wait as one, and one that comes while the job is at
   * work makes it run once more. A courtesy only: two may run at once, and Postgres settles it.
   */
  readonly unique: (payload: P) => string;
  readonly handler: (payload: P, context: JobContext) => Promise<JobResult>;
};

/** A definition whose payload type is not known here: the list, the queue, the relay. */
// biome-ignore lint/suspicious/noExplicitAny: payload types differ from job to job; each is parsed before its handler
export type AnyJobDefinition = JobDefinition<any>;

/** Why a job is told to stop; `signal.reason` is one of these. */
export type StopReason = 'timeout' | 'shutdown' | 'cancelled' | 'lock_lost';

/** What a handler is given: no queue, no process. */
export type JobContext = {
  readonly job: {
    readonly name: string;
    readonly id: string;
    readonly key: string;
    /** 1 the first time */
    readonly attempt: number;
  };
  /** one child logger a job */
  readonly log: Logger;
  /** aborted with a `StopReason` */
  readonly signal: AbortSignal;
  readonly db: Database;
  readonly services: JobServices;
  /** how long a slice of a long run lasts */
  readonly sliceMs: number;
  /** Hands a job over through the outbox, in a transaction of its own. */
  enqueue<P extends Payload>(
    definition: JobDefinition<P>,
    payload: P,
    options?: { readonly delayMs?: number },
  ): Promise<void>;
};

/** What the executor needs for every job. */
export type JobDeps = {
  readonly db: Database;
  readonly log: Logger;
  readonly services: JobServices;
  readonly sliceMs: number;
  readonly jobs: readonly AnyJobDefinition[];
};
