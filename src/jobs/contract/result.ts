/** How a handler ends when it does not throw. A throw means: try again. */
export type JobResult =
  | { readonly kind: 'done'; readonly summary: JobSummary }
  | { readonly kind: 'cancel'; readonly reason: string }
  | { readonly kind: 'snooze'; readonly ms: number; readonly reason: string };

/** What a job reports of itself: counts and short texts, no address, no token. */
export type JobSummary = Readonly<Record<string, string | number | boolean | null>>;

/** The work is done, or there was none. */
export const done = (summary: JobSummary = {}): JobResult => Object.freeze({ kind: 'done', summary });

/** It can never be done: no retry, and it is listed as failed with this reason. */
export const cancel = (reason: string): JobResult => Object.freeze({ kind: 'cancel', reason });

/** Not yet: again after `ms`, without using an attempt. */
export const snooze = (ms: number, reason: string): JobResult =>
  Object.freeze({ kind: 'snooze', ms: Math.max(0, Math.ceil(ms)), reason });
