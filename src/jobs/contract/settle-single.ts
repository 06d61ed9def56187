import type { SingleResult } from '../services/job-services.ts';
import { done, type JobResult, snooze } from './result.ts';

const pausedLookMs = 4_000;

/** What a run of one member or event type means for its job. */
export function settleSingle({ state, counts }: SingleResult): JobResult {
  return state === 'paused' ? snooze(pausedLookMs, 'an operator paused writing') : done({ ...counts, state });
}
