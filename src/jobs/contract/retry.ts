import type { RetryPolicy } from './definition.ts';

/**
 * Doubles from `firstMs` up to `capMs`, each time between half of that and all of it: those who failed
 * together do not come back together. An error that says when (`retryAfterMs`) is believed, up to the cap.
 */
export function exponential({
  firstMs,
  capMs,
  random = Math.random,
}: {
  readonly firstMs: number;
  readonly capMs: number;
  readonly random?: () => number;
}): RetryPolicy {
  return ({ attempt, error }) => {
    const told = (error as { retryAfterMs?: unknown } | null)?.retryAfterMs;
    if (typeof told === 'number' && told >= 0) return Math.min(told, capMs);
    const full = Math.min(capMs, firstMs * 2 ** (attempt - 1));
    return Math.round(full / 2 + (full / 2) * random());
  };
}
