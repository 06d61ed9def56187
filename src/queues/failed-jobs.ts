import type { Job } from 'bullmq';
import { scrub } from '../scrub.ts';
import type { FailedJob } from './queue.ts';

type Payload = Readonly<Record<string, string | number | boolean | null>>;

/** A job of BullMQ that failed for good, as operators see it. */
export function describeFailed(job: Job): FailedJob {
  const data = (job.data ?? {}) as { readonly key?: unknown; readonly payload?: Payload };
  return {
    id: job.id as string,
    job: job.name,
    key: String(data.key ?? ''),
    payload: data.payload ?? {},
    reason: scrub(job.failedReason ?? ''),
    attempts: job.attemptsMade,
    saidAtMs: job.timestamp,
    failedAtMs: job.finishedOn ?? 0,
  };
}
