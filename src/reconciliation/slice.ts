import type { Counts } from './counts.ts';
import type { Run, RunProgress } from './run-record.ts';

/**
 * What a slice came to. more: the cursor stands, another slice is owed; held: a person must let it pass;
 * paused: an operator, or observe, keeps it from writing; busy: another worker is at it.
 */
export type Slice = {
  readonly state: 'more' | 'done' | 'superseded' | 'held' | 'paused' | 'busy';
  /** rows written by the run so far, by category */
  readonly counts: Counts;
  readonly progress: RunProgress;
  /** why it took one chunk and no more, and why the next slice should wait a little; null: nothing slows it */
  readonly slowed: string | null;
};

/** What a run that cannot be worked on now answers. */
export function standing(run: Run): Slice {
  const { counts, progress, state } = run;
  switch (state) {
    case 'queued':
    case 'running':
      return { state: 'busy', counts, progress, slowed: null };
    case 'failed':
    case 'superseded':
      return { state: 'superseded', counts, progress, slowed: null };
    case 'done':
    case 'held':
      return { state, counts, progress, slowed: null };
    default:
      return state satisfies never;
  }
}
