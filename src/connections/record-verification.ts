import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { applyTransition } from './apply-transition.ts';
import { lockConnection } from './authority.ts';
import { recordFailedLook } from './record-failed-look.ts';
import { forgetRefusedMeetings } from './refused-meetings.ts';
import type { Verdict } from './verdict.ts';
import { nextVerification, unansweredLook } from './verification-times.ts';
import type { Verified } from './verified.ts';
import { isOldNews, seenBy, type Watched } from './watched-connection.ts';

/** After this long without a conclusive look, operators are alerted and pages say so (behaviour §7). */
const staleAfterHours = 24;

/** Writes what a look found, if the connection is still the one that was looked at. */
export async function recordVerification(
  trx: Transaction<DB>,
  watched: Watched,
  verdict: Verdict,
  { actor, vaultUnreadable = false }: { readonly actor: Actor; readonly vaultUnreadable?: boolean },
): Promise<Verified> {
  switch (verdict.result) {
    case 'inconclusive':
      return recordInconclusive(trx, watched, verdict.reason, actor, vaultUnreadable);
    case 'passed':
      return recordPassed(trx, watched, actor);
    case 'failed':
      return verdict.evidence === 'lists'
        ? recordAtRisk(trx, watched, verdict, actor)
        : recordFailedLook(trx, watched, verdict, actor);
    default:
      verdict satisfies never;
      return { outcome: 'not_applicable' };
  }
}

async function recordInconclusive(
  trx: Transaction<DB>,
  watched: Watched,
  reason: string,
  actor: Actor,
  vaultUnreadable: boolean,
): Promise<Verified> {
  const result = await applyTransition(trx, {
    connectionId: watched.id,
    event: vaultUnreadable ? 'vault_unreadable' : 'verification_inconclusive',
    actor,
    reason,
    seen: seenBy(watched),
    set: unansweredLook,
  });
  if (result.outcome === 'refused') return { outcome: 'not_applicable' };
  // Once for each silence: operators are alerted from this event.
  await sql`
    insert into steward.events (organization_id, type, subject_id, data, created_at)
    select c.organization_id, 'connection.unverified', c.id, jsonb_build_object('verifiedAt', c.verified_at, 'reason', ${reason}::text), steward.now()
      from steward.org_connections c
     where c.id = ${watched.id} and c.verified_at < steward.now() - ${staleAfterHours} * interval '1 hour'
       and not exists (select from steward.events e where e.organization_id = c.organization_id
                        and e.type = 'connection.unverified' and e.created_at > c.verified_at)`.execute(trx);
  return { outcome: 'inconclusive', reason };
}

async function recordPassed(trx: Transaction<DB>, watched: Watched, actor: Actor): Promise<Verified> {
  const before = await lockConnection(trx, watched.id);
  const result = await applyTransition(trx, {
    connectionId: watched.id,
    event: 'verification_passed',
    actor,
    seen: seenBy(watched),
    set: healed,
    cause: 'resumed',
  });
  if (result.outcome === 'refused') return { outcome: 'not_applicable' };
  await forgetRefusedMeetings(trx, watched);
  if (result.from === 'active' && before.at_risk_reason !== null) {
    await insertEvent(trx, {
      organizationId: result.organizationId,
      type: 'connection.resumed',
      subjectId: watched.id,
      data: { was: 'at_risk' },
    });
  }
  return { outcome: 'passed', resumed: result.outcome === 'changed' };
}

/** Columns of a connection about which nothing is wrong any more. */
export const healed = {
  at_risk_reason: null,
  interrupted_reason: null,
  interrupted_at: null,
  notice_event_seq: null,
  deadline_at: null,
  reminded_days: null,
  first_failed_at: null,
  deauthorized_at: null,
  unanswered: 0,
  verified_at: sql<Date>`steward.now()`,
  verify_due_at: nextVerification,
};

async function recordAtRisk(
  trx: Transaction<DB>,
  watched: Watched,
  verdict: Extract<Verdict, { result: 'failed' }>,
  actor: Actor,
): Promise<Verified> {
  const { missing } = verdict;
  const before = await lockConnection(trx, watched.id);
  if (await isOldNews(trx, watched, verdict)) return { outcome: 'not_applicable' };
  const reason = missing.join('; ');
  const same = before.at_risk_reason === reason || before.state !== 'active';
  // Calls work, so a first failed look is refuted. Told again only when something else is missing.
  const set = {
    ...(before.state === 'active' ? { at_risk_reason: reason, first_failed_at: null } : {}),
    unanswered: 0,
    verified_at: sql<Date>`steward.now()`,
    verify_due_at: nextVerification,
  };
  const result = await applyTransition(trx, {
    connectionId: watched.id,
    event: same ? 'verification_inconclusive' : 'expectation_missing',
    actor,
    reason,
    seen: seenBy(watched),
    set,
    data: { missing },
  });
  return result.outcome === 'refused' ? { outcome: 'not_applicable' } : { outcome: 'at_risk', missing };
}
