import { setTimeout } from 'node:timers/promises';
import type { JobDeps } from '../jobs/contract/definition.ts';
import { snooze } from '../jobs/contract/result.ts';
import { type JobOutcome, runJob } from '../jobs/contract/run-job.ts';
import type { Telemetry, TelemetryEvents } from '../telemetry.ts';
import { traceJob } from '../trace-context.ts';
import type { Process, QueueDelivery } from './queue.ts';
import type { Switches } from './switches.ts';

// A paused job keeps its slot for a while: put off at once, a backlog of thousands would go round and round.
const usualHoldMs = 8_000;
const lookAgainMs = 500;
const pausedMs = 1_000;
// The database may be away for long, and each start counts against poison (settings.ts): seldom after a minute.
const databaseAwayMs = (starts: number): number => (starts <= 12 ? 5_000 : 60_000);

type Outcome = TelemetryEvents['job_finished']['outcome'];

function outcomeName(outcome: JobOutcome): Outcome {
  switch (outcome.kind) {
    case 'done':
      return 'done';
    case 'cancel':
      return 'cancelled';
    case 'snooze':
      return 'snoozed';
    case 'invalid':
      return 'invalid';
    case 'shutdown':
      return 'shutdown';
    case 'failed':
      return outcome.retryInMs === null ? 'failed' : 'retried';
    default:
      return outcome satisfies never;
  }
}

function detailOf(outcome: JobOutcome): string | undefined {
  if (outcome.kind === 'cancel' || outcome.kind === 'snooze') return outcome.reason;
  if (outcome.kind === 'invalid' || outcome.kind === 'failed') {
    const { code, name } = outcome.error as { code?: string; name?: string };
    return code ?? name ?? 'error';
  }
  return undefined;
}

function describeOutcome(outcome: JobOutcome): { outcome: Outcome; failed: boolean; detail?: string } {
  const detail = detailOf(outcome);
  return {
    outcome: outcomeName(outcome),
    failed: outcome.kind === 'failed' || outcome.kind === 'invalid',
    ...(detail === undefined ? {} : { detail }),
  };
}

/** What stands between the queue and a job: operators' switches, telemetry, the log line of its end. */
export function createProcess({
  deps,
  switches,
  telemetry,
  holdMs = usualHoldMs,
}: {
  deps: JobDeps;
  switches: Switches;
  telemetry: Telemetry;
  /** how long a paused job keeps its slot */
  holdMs?: number;
}): Process {
  const isPaused = async (delivery: QueueDelivery): Promise<string | undefined> => {
    if (delivery.name === 'reconcile-due') return undefined;
    if (await switches.isOn('pause_all')) return 'an operator paused everything';
    if (delivery.queue === 'zoom' && (await switches.isOn('pause_zoom'))) return 'an operator paused calls to Zoom';
    return undefined;
  };
  /** Waits while it is paused. @returns why it is to be put off, or undefined: it may run */
  const held = async (delivery: QueueDelivery): Promise<string | undefined> => {
    const until = performance.now() + holdMs;
    for (;;) {
      const why = await isPaused(delivery);
      if (why === undefined || performance.now() >= until || delivery.signal.aborted) return why;
      await setTimeout(lookAgainMs, undefined, { signal: delivery.signal }).catch(() => {});
    }
  };
  const work = async (delivery: QueueDelivery): Promise<JobOutcome> => {
    const { queue, name: job, id: jobId, key, attempt, waitedMs } = delivery;
    const startedAt = performance.now();
    telemetry.emit('job_started', { queue, job, jobId, key, attempt, waitedMs });
    let outcome: JobOutcome;
    try {
      const why = await held(delivery);
      outcome = why === undefined ? await runJob(deps, delivery) : snooze(pausedMs, why);
    } catch (error) {
      // Nothing of the job has begun: no attempt is used, else an outage of minutes would lose it for good.
      deps.log.warn({ err: error, job, jobId, key, attempt, queue }, 'a job waits for the database');
      outcome = snooze(databaseAwayMs(delivery.starts), 'the database is away');
    }
    const detail = detailOf(outcome);
    const ms = performance.now() - startedAt;
    telemetry.emit('job_finished', {
      queue,
      job,
      jobId,
      key,
      outcome: outcomeName(outcome),
      ms,
      ...(detail === undefined ? {} : { detail }),
    });
    if (outcome.kind === 'failed' || outcome.kind === 'invalid')
      deps.log[outcome.kind === 'failed' && outcome.retryInMs !== null ? 'warn' : 'error'](
        { err: outcome.error, job, jobId, key, attempt, queue, ms },
        outcome.kind === 'invalid' ? 'a job was not understood' : 'a job failed',
      );
    return outcome;
  };
  return (delivery) => {
    const { queue, name, id, attempt, trace = [] } = delivery;
    return traceJob({ queue, name, id, attempt, traces: trace }, () => work(delivery), describeOutcome);
  };
}
