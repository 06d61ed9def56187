import { sql } from 'kysely';

/** The second look comes at least this long after the first (behaviour §7). */
export const secondLookMinutes = 10;

/** After `app_deauthorized` a dead grant is looked at again after this long, and only then interrupts (lifecycle §2). */
export const deauthorizedMinutes = 15;

/** Six hours from now, ± 20 %, so that a fleet activated at once is not verified at once. */
export const nextVerification = sql<Date>`steward.now() + interval '6 hours' * (0.8 + 0.4 * random())`;

/** What is held by the fleet guard is looked at again after this. */
export const retryVerification = sql<Date>`steward.now() + interval '10 minutes'`;

/** So many looks in a row that Zoom did not answer are repeated after a minute, all others after ten. */
const repeatedSoon = 5;

/**
 * When Zoom did not answer: nothing else changes. A hiccup must not put off what is found by the schedule – a second look
 * waits ten minutes as it is –, and an outage must not be asked every minute.
 */
export const unansweredLook = {
  verify_due_at: sql<Date>`steward.now() + case when unanswered < ${repeatedSoon} then interval '1 minute' else interval '10 minutes' end`,
  unanswered: sql<number>`least(unanswered + 1, 1000)`,
};
