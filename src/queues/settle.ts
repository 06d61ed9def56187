import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { JobSummary } from '../jobs/contract/result.ts';
import type { JobOutcome } from '../jobs/contract/run-job.ts';
import { scrub } from '../scrub.ts';
import { longestSnoozeInQueueMs, snoozesInQueue } from './settings.ts';

/** An error that tells BullMQ how long to wait before the next attempt. */
class RetryLater extends Error {
  override readonly name = 'RetryLater';
  readonly retryInMs: number;
  constructor(message: string, retryInMs: number, cause: unknown) {
    super(message, { cause });
    this.retryInMs = retryInMs;
  }
}

const describe = (error: unknown): string =>
  scrub(
    error instanceof Error ? `${(error as { code?: string }).code ?? error.name}: ${error.message}` : String(error),
  );

/**
 * Makes of an outcome what BullMQ understands. The only place that does. Returns the job's result or throws
 * what BullMQ wants thrown; `handOver` writes a long snooze to the outbox.
 */
export async function settle(
  outcome: JobOutcome,
  job: Job,
  token: string,
  handOver: (delayMs: number) => Promise<void>,
): Promise<JobSummary> {
  switch (outcome.kind) {
    case 'done':
      return outcome.summary;
    case 'cancel':
      throw new UnrecoverableError(`cancelled: ${outcome.reason}`);
    case 'invalid':
      throw new UnrecoverableError(`${outcome.error.code}: ${outcome.error.message}`);
    case 'snooze':
      if (outcome.ms > longestSnoozeInQueueMs || job.attemptsStarted >= snoozesInQueue) {
        const handedOver = await handOver(outcome.ms).then(
          () => true,
          () => false,
        );
        // Without the outbox the queue keeps it after all: a throw here would use an attempt.
        if (handedOver) return { snoozed: outcome.reason };
      }
      await job.moveToDelayed(Date.now() + outcome.ms, token);
      throw new DelayedError(outcome.reason);
    case 'shutdown':
      // Throwing would use an attempt; this does not.
      await job.moveToWait(token);
      throw new WaitingError('handed back at shutdown');
    case 'failed':
      if (outcome.retryInMs === null) throw new UnrecoverableError(describe(outcome.error));
      throw new RetryLater(describe(outcome.error), outcome.retryInMs, outcome.error);
    default:
      return outcome satisfies never;
  }
}

/** BullMQ's back-off: what the job's own policy said, carried by the error. */
export const backoffFromError = (_attempts: number, _type: string | undefined, error: Error | undefined): number =>
  error instanceof RetryLater ? error.retryInMs : 1_000;
