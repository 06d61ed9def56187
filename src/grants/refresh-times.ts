/** How long the parts of a refresh may take (lifecycle §3). All in milliseconds. */
export type RefreshTimes = {
  /** the whole request: oauth gives up before */
  readonly httpMs: number;
  /** from taking the lease: http and a pause of the process that may come before it */
  readonly leaseMs: number;
  /** after the lease, before anybody else may send the same refresh token */
  readonly marginMs: number;
  /** between the look that made a grant suspect and the one that may declare it dead */
  readonly secondLookMs: number;
  /** less left than this: somebody who needs a token refreshes */
  readonly minLeftMs: number;
  /** with at least this left the old token is handed out while a refresh is not possible */
  readonly lastResortLeftMs: number;
  /** how long a caller waits for somebody else's refresh unless it says otherwise */
  readonly patienceMs: number;
  /** how often waiters look without being woken */
  readonly pollMs: number;
  /** no second forced refresh sooner than this: Zoom refusing fresh tokens is no reason to rotate on and on */
  readonly forcedEveryMs: number;
  /** how long the database may take before and after a request; the pair of an answer is tried again for ever instead */
  readonly databaseMs: number;
  /** first and longest back-off after an answer that says nothing about the grant */
  readonly backOffMs: number;
  readonly longestBackOffMs: number;
};

export const defaultRefreshTimes: RefreshTimes = Object.freeze({
  httpMs: 30_000,
  leaseMs: 45_000,
  marginMs: 15_000,
  secondLookMs: 10 * 60_000,
  minLeftMs: 10 * 60_000,
  lastResortLeftMs: 30_000,
  patienceMs: 35_000,
  pollMs: 250,
  forcedEveryMs: 60_000,
  databaseMs: 10_000,
  backOffMs: 2_000,
  longestBackOffMs: 10 * 60_000,
});

/** Doubling back-off in milliseconds after `failures` in a row (1 = the first). */
export const backOffMs = (times: RefreshTimes, failures: number): number =>
  Math.min(times.backOffMs * 2 ** Math.min(Math.max(failures - 1, 0), 20), times.longestBackOffMs);
