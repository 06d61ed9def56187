import { sql } from 'kysely';

/** The second look comes at least this long after the first (behaviour §7). */
export const secondLookMinutes = 10;

/** After `app_deauthorized` a dead grant is looked at again after this long, and only then interrupts (lifecycle §2). */
export const deauthorizedMinutes = 15;

/** Six hours from now, ± 20 %, so that a fleet activated at once is not verified at once. */
export const nextVerification = sql<Date>`steward.now() + interval '6 hours' * (0.8 + 0.4 * random())`;

/** When Zoom did not answer: again in ten minutes; nothing else changes. */
export const retryVerification = sql<Date>`steward.now() + interval '10 minutes'`;
