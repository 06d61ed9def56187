import { setTimeout as sleep } from 'node:timers/promises';
import { startElapsed } from './elapsed.ts';

const firstWaitMs = 50;
const longestWaitMs = 2_000;

/**
 * Repeats a write until it succeeds: what Zoom gave us exists nowhere else. Without `givesUpAfterMs` it ends only
 * with the process; then the last error is thrown.
 */
export async function persist<T>(
  work: () => Promise<T>,
  {
    givesUpAfterMs = Number.POSITIVE_INFINITY,
    onFailure,
  }: { givesUpAfterMs?: number; onFailure(error: unknown): void },
): Promise<T> {
  const elapsed = startElapsed();
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    try {
      return await work();
    } catch (error) {
      onFailure(error);
      if (elapsed() + waitMs > givesUpAfterMs) throw error;
      await sleep(waitMs);
    }
  }
}
