/** The moments lifecycle §3 and §4 tell apart, in order. Tests and the crash harness end the process there. */
export const crashPoints = Object.freeze([
  /** the attempt and its lease are committed, nothing was sent */
  'acquired',
  /** checked once more that the lease is long enough; the next thing is the request */
  'before_send',
  /** the answer is here and nowhere else */
  'answered',
  /** the pair is committed, nobody was answered, scopes are not compared */
  'committed',
  /** an answer other than a pair is recorded */
  'recorded',
  /** the lease for revoking is committed, nothing was sent */
  'revoke_leased',
  /** Zoom answered the revocation, secrets are still here */
  'revoke_answered',
] as const);

export type CrashPoint = (typeof crashPoints)[number];

export type OnCrashPoint = (point: CrashPoint) => void | Promise<void>;
