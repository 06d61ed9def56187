import { type Kysely, sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { beCareful } from './careful-transaction.ts';
import type { DeadReason } from './grant-repository.ts';
import { type Attempt, endAttempt } from './refresh-attempt-repository.ts';
import type { RefreshTimes } from './refresh-times.ts';
import { isOfRewoundTime } from './rewound.ts';
import { tellConnections } from './tell-connections.ts';

export type Judged =
  /** a newer pair is there, or the grant has ended otherwise: nothing to say */
  | { readonly kind: 'moved' }
  | { readonly kind: 'suspect'; readonly reason: DeadReason }
  /** suspect already, and this attempt began too early to be the second look */
  | { readonly kind: 'still_suspect' }
  | { readonly kind: 'dead'; readonly reason: DeadReason };

/** What the evidence about a refused refresh token is. */
export type RefusalFacts = {
  /** code of the answer */
  readonly code: string;
  /**
   * another attempt on this version ended unknown or never ended, or the last rotation brought no refresh token, or came
   * so late that a recovery had sent the old token again, for which Zoom may end the new one as well
   */
  readonly outcomeLost: boolean;
  /** the database was put back in time, and this pair is of before: a later one may have replaced it */
  readonly restored: boolean;
  readonly consentAgeDays: number;
  readonly pairAgeDays: number;
};

const expiryFromDays = 88;
const expiryToDays = 92;

/**
 * The name of a death (lifecycle §1, §3). A rotation whose answer we may have lost is ours and comes first: it is
 * never called the customer's doing. Pure.
 */
function deadReasonOf(facts: RefusalFacts): DeadReason {
  if (facts.restored) return 'restored';
  if (facts.outcomeLost) return 'refresh_lost';
  if (facts.code === '4735') return 'user_removed';
  if (facts.code === '4738') return 'app_uninstalled';
  if (facts.code === '4741') return 'revoked';
  if (
    facts.pairAgeDays >= expiryFromDays ||
    (facts.consentAgeDays >= expiryFromDays && facts.consentAgeDays <= expiryToDays)
  ) {
    return 'grant_expired';
  }
  return 'revoked';
}

async function factsOf(trx: Transaction<DB>, attempt: Attempt, code: string): Promise<RefusalFacts> {
  const { rows } = await sql<Omit<RefusalFacts, 'code'>>`
    select exists (select from steward.refresh_attempts a
                    where a.grant_id = g.id and a.id <> ${attempt.id}
                      and ((a.version = g.version and (a.outcome is null or a.outcome = 'unknown'))
                        or (a.version = g.version - 1 and a.outcome = 'rotated' and a.detail = 'no_refresh_token')
                        or (a.version = g.version - 1 and a.outcome = 'refused' and a.detail like 'grant: %'
                            and exists (select from steward.refresh_attempts late
                                         where late.grant_id = g.id and late.version = a.version and late.outcome = 'rotated'
                                           and late.detail = 'pair')))) as "outcomeLost",
           ${isOfRewoundTime} as restored,
           (extract(epoch from steward.now() - g.consented_at) / 86400)::float8 as "consentAgeDays",
           (extract(epoch from steward.now() - coalesce(g.refreshed_at, g.consented_at)) / 86400)::float8 as "pairAgeDays"
      from steward.grants g where g.id = ${attempt.grantId}`.execute(trx);
  return { code, ...(rows[0] ?? { outcomeLost: false, restored: false, consentAgeDays: 0, pairAgeDays: 0 }) };
}

/**
 * Records that Zoom refused the refresh token itself (`invalid_grant` and relatives): the first look makes the
 * grant suspect, the second, begun at least ten minutes later and after every open attempt's end, declares it dead.
 * A retiring grant keeps its state; `release` concludes from the second refusal.
 */
export async function judgeRefusal(
  db: Kysely<DB>,
  attempt: Attempt,
  code: string,
  times: RefreshTimes,
): Promise<Judged> {
  return await db.transaction().execute(async (trx): Promise<Judged> => {
    await beCareful(trx);
    const { rows } = await sql<{ version: number; state: string; suspect: boolean; lookDue: boolean }>`
      select version, state, suspect_since is not null as suspect,
             coalesce(second_look_at <= (select started_at from steward.refresh_attempts where id = ${attempt.id}), false) as "lookDue"
        from steward.grants where id = ${attempt.grantId} for update`.execute(trx);
    const grant = rows[0];
    await endAttempt(trx, attempt, { outcome: 'refused', detail: `grant: ${code}`, nextInMs: 0 });
    if (grant?.version !== attempt.version || grant.state === 'dead' || grant.state === 'gone')
      return { kind: 'moved' };
    const reason = deadReasonOf(await factsOf(trx, attempt, code));
    if (!grant.suspect) {
      await sql`
        update steward.grants g
           set state = case state when 'living' then 'suspect' else state end, suspect_since = steward.now(), suspect_reason = ${reason},
               second_look_at = greatest(steward.now() + ${times.secondLookMs} * interval '1 millisecond',
                 (select max(a.next_at) from steward.refresh_attempts a
                   where a.grant_id = g.id and a.version = g.version and (a.outcome is null or a.outcome = 'unknown')))
         where id = ${attempt.grantId}`.execute(trx);
      await insertAudit(trx, {
        organizationId: null,
        actor: 'zoom',
        action: 'grant.suspect',
        reason,
        subjectId: attempt.grantId,
      });
      await tellConnections(trx, attempt.grantId);
      return { kind: 'suspect', reason };
    }
    // A refusal that was asked for before the look was due is old news, however late this process brings it.
    if (!grant.lookDue) return { kind: 'still_suspect' };
    if (grant.state === 'retiring') return { kind: 'dead', reason };
    await sql`
      update steward.grants set state = 'dead', dead_reason = ${reason}, suspect_since = null, suspect_reason = null, second_look_at = null
       where id = ${attempt.grantId}`.execute(trx);
    await insertAudit(trx, {
      organizationId: null,
      actor: 'zoom',
      action: 'grant.dead',
      reason,
      subjectId: attempt.grantId,
    });
    await tellConnections(trx, attempt.grantId);
    return { kind: 'dead', reason };
  });
}
