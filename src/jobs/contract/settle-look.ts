import type { LookResult } from '../services/job-services.ts';
import { cancel, done, type JobResult, snooze } from './result.ts';

/** What a look at Zoom means for its job; `handOver` owes the next slice. */
export async function settleLook(look: LookResult, handOver: () => Promise<void>): Promise<JobResult> {
  switch (look.kind) {
    case 'done':
      return done({ look: look.summary });
    case 'more':
      await handOver();
      return done({ look: look.summary, more: true });
    case 'again':
      return snooze(look.afterMs, look.reason);
    case 'gone':
      return cancel(look.reason);
    default:
      return look satisfies never;
  }
}
