import { monitorEventLoopDelay } from 'node:perf_hooks';

export type LoopDelay = {
  /** the longest time for which the event loop did not turn, of the last one to two windows, milliseconds */
  worstMs(): number;
  stop(): void;
};

const resolutionMs = 20;
const nanosecondsInMs = 1e6;

/** Measures how long the event loop was blocked: a blocked one loses its locks, and jobs run twice. */
export function createLoopDelay({ windowMs = 30_000 }: { readonly windowMs?: number } = {}): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  let before = 0;
  const current = (): number => Math.max(0, histogram.max / nanosecondsInMs - resolutionMs);
  const turn = setInterval(() => {
    before = current();
    histogram.reset();
  }, windowMs);
  turn.unref();
  return {
    worstMs: () => Math.max(before, current()),
    stop() {
      clearInterval(turn);
      histogram.disable();
    },
  };
}
