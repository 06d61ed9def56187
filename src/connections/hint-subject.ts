import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** One look a subject in this time (lifecycle §7). */
const minutesBetweenLooks = 1;

/** What a hint may be about. */
export type HintSubject =
  | { readonly kind: 'connection' | 'candidate' | 'grant'; readonly id: string }
  | { readonly kind: 'user'; readonly zoomAccountId: string; readonly id: string };

/** Name of a subject in steward.hints; the directory's swap reads those of users. */
export const subjectName = (subject: HintSubject): string =>
  subject.kind === 'user' ? `user:${subject.zoomAccountId}/${subject.id}` : `${subject.kind}:${subject.id}`;

/**
 * Whether a hint owes a look: after so many milliseconds, or null if one is owed that has yet to begin and will see it.
 * At once, and then a minute after the look before; so a hint is delayed but never lost. Locks the subject's row until
 * the transaction ends: take several in the order of their names.
 */
export async function oweLook(
  trx: Transaction<DB>,
  subject: HintSubject,
  zoomAccountId: string,
): Promise<number | null> {
  const { rows } = await sql<{ ms: number }>`
    insert into steward.hints as h (subject, zoom_account_id, look_at)
    values (${subjectName(subject)}, ${zoomAccountId}, steward.now())
    on conflict (subject) do update
       set look_at = greatest(steward.now(), h.look_at + ${minutesBetweenLooks} * interval '1 minute')
     where h.look_at <= steward.now()
    returning (extract(epoch from look_at - steward.now()) * 1000)::float8 as ms`.execute(trx);
  return rows[0] ? Math.max(0, Math.ceil(rows[0].ms)) : null;
}
