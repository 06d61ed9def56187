import type { Job, Queue } from 'bullmq';

// Jobs may go between counting and reading, and some may come.
const before = 16;
const behind = 4;

/**
 * A few waiting jobs, the one that waits longest among them. On Postgres `asc` turns round only the page that was cut from
 * the newest end (bullmq 6.7), so the page has to be cut at the other end.
 */
export async function oldestWaiting(queue: Queue, kind: 'postgres' | 'redis'): Promise<readonly Job[]> {
  if (kind === 'redis') return queue.getJobs(['waiting'], 0, 0, true);
  const { waiting = 0 } = await queue.getJobCounts('waiting');
  return waiting === 0 ? [] : queue.getJobs(['waiting'], Math.max(0, waiting - before), waiting + behind);
}
