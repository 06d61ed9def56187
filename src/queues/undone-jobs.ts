import type { Job, Queue } from 'bullmq';
import { readTraces } from '../trace-context.ts';
import type { UndoneJob } from './queue.ts';

const undone = ['active', 'waiting', 'prioritized', 'delayed'] as const;
const pageSize = 500;

type Data = { readonly key?: unknown; readonly payload?: UndoneJob['payload']; readonly trace?: unknown };

function describe({ name, data, timestamp, delay }: Job, isDelayed: boolean): UndoneJob {
  const { key, payload, trace } = (data ?? {}) as Data;
  return {
    job: name,
    key: String(key ?? ''),
    payload: payload ?? {},
    trace: readTraces(trace) ?? [],
    delayMs: isDelayed ? Math.max(0, timestamp + (delay ?? 0) - Date.now()) : 0,
  };
}

/**
 * What a queue of BullMQ still owes, those a dead worker had begun included. Messages that came while their job was
 * at work are not listed: the job itself is, and looks at what is there now. Complete only while nobody works.
 */
export async function listUndone(queue: Queue): Promise<readonly UndoneJob[]> {
  const found: UndoneJob[] = [];
  for (const state of undone)
    for (let at = 0; ; at += pageSize) {
      const page = await queue.getJobs([state], at, at + pageSize - 1, true);
      found.push(...page.map((job) => describe(job, state === 'delayed')));
      if (page.length < pageSize) break;
    }
  return found;
}

/** Forgets what waits, and what was begun where no lock holds it any more. */
export async function forgetUndone(queue: Queue): Promise<void> {
  await queue.drain(true);
  for (const job of await queue.getJobs(['active'])) await job.remove().catch(() => {});
}
