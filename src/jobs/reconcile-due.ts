import { z } from 'zod';
import { StewardError } from '../errors.ts';
import { defineJob } from './contract/define-job.ts';
import { done } from './contract/result.ts';
import { exponential } from './contract/retry.ts';
import { upkeepTasks } from './upkeep/tasks.ts';

/**
 * The tick: what is due by the clock is read from Postgres, never remembered by a queue. Tasks stand for
 * themselves: one that fails does not keep the others from running, and is tried again with the next tick.
 */
export const reconcileDue = defineJob({
  name: 'reconcile-due',
  queue: 'quick',
  version: 1,
  payload: z.strictObject({}),
  attempts: 1,
  retry: exponential({ firstMs: 1_000, capMs: 10_000 }),
  timeoutMs: 5 * 60_000,
  unique: () => 'due',
  async handler(_payload, { db, signal, log, services }) {
    const summary: Record<string, number> = {};
    const failed: string[] = [];
    for (const [name, task] of Object.entries(upkeepTasks)) {
      if (signal.aborted) break;
      try {
        const { found } = await task(db, services);
        if (found > 0) summary[name] = found;
      } catch (error) {
        failed.push(name);
        log.error({ err: error, task: name }, 'an upkeep task failed; the next tick tries again');
      }
    }
    if (failed.length > 0)
      throw new StewardError(
        'upkeep_failed',
        `Upkeep failed in ${failed.join(', ')}; the other tasks ran, and the next tick tries again.`,
        {
          context: { failed: failed.join(',') },
        },
      );
    return done(summary);
  },
});
