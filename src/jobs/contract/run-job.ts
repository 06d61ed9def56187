import { StewardError } from '../../errors.ts';
import { parsePayload } from './define-job.ts';
import type { AnyJobDefinition, JobContext, JobDeps, StopReason } from './definition.ts';
import { enqueueJob } from './enqueue-job.ts';
import type { JobResult } from './result.ts';

/** A job as the queue hands it over. */
export type JobDelivery = {
  readonly name: string;
  readonly id: string;
  readonly key: string;
  /** 1 the first time */
  readonly attempt: number;
  readonly payload: unknown;
  readonly signal: AbortSignal;
};

/** How a delivery ended; the queue makes its own of it. */
export type JobOutcome =
  | JobResult
  /** it can never be understood: fails for good */
  | { readonly kind: 'invalid'; readonly error: StewardError }
  /** again after `retryInMs`, or null: no attempt is left or none would help */
  | { readonly kind: 'failed'; readonly error: unknown; readonly retryInMs: number | null }
  /** told to stop by a shutdown: goes back unharmed, no attempt used */
  | { readonly kind: 'shutdown' };

// A handler that does not listen to its signal is left behind after this; Postgres' fences hold it.
const unheardMs = 5_000;

/** Aborts with `timeout`, or with whatever aborted the outer signal. */
function stoppable(outer: AbortSignal, timeoutMs: number): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const follow = (): void => controller.abort(outer.reason);
  if (outer.aborted) follow();
  outer.addEventListener('abort', follow, { once: true });
  const timer = setTimeout(() => controller.abort('timeout' satisfies StopReason), timeoutMs);
  return {
    signal: controller.signal,
    release() {
      clearTimeout(timer);
      outer.removeEventListener('abort', follow);
    },
  };
}

async function unlessDeaf(work: Promise<JobResult>, signal: AbortSignal, timeoutMs: number): Promise<JobResult> {
  let timer: NodeJS.Timeout | undefined;
  const deaf = new Promise<never>((_, reject) => {
    const start = (): void => {
      timer = setTimeout(
        () =>
          reject(
            new StewardError(
              'job_timeout',
              `The job was told to stop (${String(signal.reason)}; its time is ${timeoutMs} ms) and went on for ${unheardMs} ms more; it was left behind.`,
            ),
          ),
        unheardMs,
      );
    };
    if (signal.aborted) start();
    else signal.addEventListener('abort', start, { once: true });
  });
  deaf.catch(() => {});
  try {
    return await Promise.race([work, deaf]);
  } finally {
    clearTimeout(timer);
  }
}

/** The definition for a name or an alias. */
export function findJob(jobs: readonly AnyJobDefinition[], name: string): AnyJobDefinition | undefined {
  return jobs.find((job) => job.name === name || job.aliases.includes(name));
}

/**
 * Runs a delivery: find the definition, parse, time-limit, handle, classify. Never throws; knows no queue.
 */
export async function runJob(deps: JobDeps, delivery: JobDelivery): Promise<JobOutcome> {
  const definition = findJob(deps.jobs, delivery.name);
  if (!definition) {
    return {
      kind: 'invalid',
      error: new StewardError(
        'job_unknown',
        `Expected a job of this worker, got ${delivery.name}; a newer release may know it. Replay it there.`,
        {
          context: { job: delivery.name },
        },
      ),
    };
  }
  let payload: unknown;
  try {
    payload = parsePayload(definition, delivery.payload);
  } catch (error) {
    return { kind: 'invalid', error: error as StewardError };
  }
  const { signal, release } = stoppable(delivery.signal, definition.timeoutMs);
  const context: JobContext = {
    job: { name: definition.name, id: delivery.id, key: delivery.key, attempt: delivery.attempt },
    log: deps.log.child({ job: definition.name, jobId: delivery.id, key: delivery.key, attempt: delivery.attempt }),
    signal,
    db: deps.db,
    services: deps.services,
    sliceMs: deps.sliceMs,
    enqueue: (next, nextPayload, options) =>
      deps.db.transaction().execute((trx) => enqueueJob(trx, next, nextPayload, options)),
  };
  try {
    const work = definition.handler(payload, context);
    work.catch(() => {});
    return await unlessDeaf(work, signal, definition.timeoutMs);
  } catch (error) {
    if (signal.aborted && (signal.reason as StopReason) === 'shutdown') return { kind: 'shutdown' };
    const after =
      delivery.attempt >= definition.attempts ? 'give_up' : definition.retry({ attempt: delivery.attempt, error });
    return { kind: 'failed', error, retryInMs: after === 'give_up' ? null : after };
  } finally {
    release();
  }
}
