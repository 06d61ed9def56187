import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { applyTransition } from './apply-transition.ts';
import { lockConnection } from './authority.ts';
import { passFleetGuard } from './fleet-guard.ts';
import type { Verdict } from './verdict.ts';
import { deauthorizedMinutes, nextVerification, retryVerification, secondLookMinutes } from './verification-times.ts';
import type { Verified } from './verified.ts';
import { isOldNews, seenBy, type Watched } from './watched-connection.ts';

/**
 * Writes a look that failed by evidence of calls or of a dead grant: the first makes the connection suspect, the
 * second – ten minutes later, and if the fleet guard is open – interrupts it.
 */
export async function recordFailedLook(
  trx: Transaction<DB>,
  watched: Watched,
  verdict: Extract<Verdict, { result: 'failed' }>,
  actor: Actor,
): Promise<Verified> {
  const { missing } = verdict;
  const reason = missing.join('; ');
  const seen = seenBy(watched);
  // A dead grant was looked at twice at the token endpoint already (lifecycle §3.6).
  const waitMs = () => (verdict.evidence === 'grant' ? deauthorizedInMs(trx, watched) : secondLookInMs(trx, watched));
  // Only a declaration asks the guard, and takes its lock before the connection's: declarations are counted one by one.
  const guard = watched.state === 'interrupted' || (await waitMs()) > 0 ? null : await passFleetGuard(trx, watched.id);
  const row = await lockConnection(trx, watched.id);
  if (await isOldNews(trx, watched, verdict)) return { outcome: 'not_applicable' };
  // Once more under the lock: a look that passed meanwhile has ended the suspicion, and this one is a first look again.
  const again = guard === null ? Math.max(1_000, await waitMs()) : await waitMs();
  if (row.state === 'interrupted') {
    const set = {
      interrupted_reason: reason,
      unanswered: 0,
      verified_at: sql<Date>`steward.now()`,
      verify_due_at: nextVerification,
    };
    const result = await applyTransition(trx, {
      connectionId: watched.id,
      event: 'failed_second_look',
      actor,
      reason,
      seen,
      set,
    });
    return result.outcome === 'refused' ? { outcome: 'not_applicable' } : { outcome: 'interrupted', missing };
  }
  if (again > 0) {
    const first = row.first_failed_at === null;
    const result = await applyTransition(trx, {
      connectionId: watched.id,
      event: first ? 'failed_first_look' : 'verification_inconclusive',
      actor,
      reason,
      seen,
      set: {
        ...(first ? { first_failed_at: sql<Date>`steward.now()` } : {}),
        unanswered: 0,
        verify_due_at: sql<Date>`steward.now() + ${again} * interval '1 millisecond'`,
      },
      data: { missing },
    });
    if (result.outcome === 'refused') return { outcome: 'not_applicable' };
    await insertOutbox(trx, {
      job: 'verify-admin-role',
      key: watched.id,
      payload: { connectionId: watched.id },
      delayMs: again,
    });
    return { outcome: 'suspect', missing, againInMs: again };
  }
  if (guard && !guard.open) {
    const result = await applyTransition(trx, {
      connectionId: watched.id,
      event: 'guard_closed',
      actor,
      reason: guard.why,
      seen,
      set: { verify_due_at: retryVerification },
      data: { missing, failing: guard.failing, allowed: guard.allowed },
    });
    return result.outcome === 'refused' ? { outcome: 'not_applicable' } : { outcome: 'held', why: guard.why };
  }
  const result = await applyTransition(trx, {
    connectionId: watched.id,
    event: 'failed_second_look',
    actor,
    reason,
    seen,
    set: {
      interrupted_reason: reason,
      interrupted_at: sql`steward.now()`,
      at_risk_reason: null,
      first_failed_at: null,
      unanswered: 0,
      verified_at: sql`steward.now()`,
      verify_due_at: nextVerification,
    },
    cause: 'interrupted',
    data: { missing },
  });
  if (result.outcome === 'refused') return { outcome: 'not_applicable' };
  // The deadline starts when this event was delivered, not before (deadline.ts).
  await trx
    .updateTable('steward.org_connections')
    .set({ notice_event_seq: result.eventSeq, deadline_at: null })
    .where('id', '=', watched.id)
    .execute();
  return { outcome: 'interrupted', missing };
}

/** The same for a dead grant: 0, unless Zoom said less than 15 minutes before this look that the app was taken off. */
async function deauthorizedInMs(trx: Transaction<DB>, watched: Watched): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select case when due.at <= ${watched.lookedAt}::timestamptz then 0
                else ceil(greatest(1, extract(epoch from due.at - steward.now())) * 1000) end::float8 as ms
      from steward.org_connections c,
           lateral (select c.deauthorized_at + ${deauthorizedMinutes} * interval '1 minute' as at) due
     where c.id = ${watched.id} and c.deauthorized_at is not null`.execute(trx);
  return rows[0]?.ms ?? 0;
}

/**
 * Milliseconds until a look may begin that counts as the second, 0 if this one does: it began ten minutes after the
 * first was written, and no refresh attempt was still open.
 */
async function secondLookInMs(trx: Transaction<DB>, watched: Watched): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select case when due.at <= ${watched.lookedAt}::timestamptz then 0
                else ceil(greatest(1, extract(epoch from due.at - steward.now())) * 1000) end::float8 as ms
      from steward.org_connections c,
           lateral (select greatest(
             coalesce(c.first_failed_at, steward.now()) + ${secondLookMinutes} * interval '1 minute',
             (select max(a.deadline_at) from steward.refresh_attempts a where a.grant_id = c.grant_id and a.outcome is null)
           ) as at) due
     where c.id = ${watched.id}`.execute(trx);
  return rows[0]?.ms ?? 0;
}
