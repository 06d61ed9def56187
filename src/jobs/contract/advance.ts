import type { JobContext, JobDefinition } from './definition.ts';
import { done, type JobResult, snooze } from './result.ts';

/** Which run a message is about. */
export type RunPayload = { readonly organizationId: string; readonly runId: string };

const pausedLookMs = 4_000;
// Between two slices that take one chunk each: whoever was in need gets most of the time.
const slowedMs = 2_000;
// Its holder hands over itself, or is dead and its lease ends about when its lock in the queue does: looked at often, so
// that little is added to the time from a death to the next chunk.
const busyLookMs = 500;

/**
 * One slice of a run, and the hand-over to the next: through the outbox, so that a run of a million members
 * and one of twenty take turns, and nothing is lost if this process ends now.
 */
export async function advance(
  self: JobDefinition<RunPayload>,
  payload: RunPayload,
  context: JobContext,
  whenDone: () => Promise<string | null> = async () => null,
): Promise<JobResult> {
  const slice = await context.services.advanceRun(payload.runId, { sliceMs: context.sliceMs, signal: context.signal });
  const summary = { ...slice.counts, run: payload.runId, state: slice.state };
  switch (slice.state) {
    case 'more':
      await context.enqueue(self, payload, { delayMs: slice.slowed ? slowedMs : 0 });
      return done(summary);
    case 'done':
      return done({ ...summary, end: await whenDone() });
    case 'superseded':
    case 'held':
      return done(summary);
    case 'busy':
      return snooze(busyLookMs, 'another worker is at it');
    case 'paused':
      return snooze(pausedLookMs, 'an operator paused writing');
    default:
      return slice.state satisfies never;
  }
}
