import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import type { Verdict } from './verdict.ts';
import { secondLookMinutes } from './verification-times.ts';

/** What Zoom refused of the product, as pages name it. */
const call = 'make or change meetings';
/** A refusal that no list explains is evidence for so long; meetings that work end it at once. */
const unexplainedHours = 24;

type Watched = { readonly id: string; readonly grantId: string; readonly state: 'active' | 'interrupted' };

type Refused = {
  readonly reason: 'missing_permission' | 'missing_scope';
  /** not older than what no list needs to explain */
  readonly fresh: boolean;
  /** Zoom named the scopes of the grant: what is missing is listed then */
  readonly named: boolean;
  /** of more than one host, or there is no other who could host */
  readonly general: boolean;
  /** younger than the first look, by the time that two looks are apart; true if there was none */
  readonly newer: boolean;
  /** why the connection is interrupted */
  readonly interrupted: string | null;
};

/** Of a record b and its connection c: it is of more than one host, or there is no other who could host. */
const isGeneral = sql`(b.zoom_user_id is null or b.several_hosts or not exists (
  select from steward.member_connections m
   where m.organization_id = c.organization_id and m.effective = 'organization' and m.hosting = 'can_host'
     and m.zoom_user_id <> b.zoom_user_id))`;

/**
 * The last refusal of a call about meetings for want of permission or scope: no such call worked since, nobody
 * consented anew, and nobody asked for a look since.
 */
async function findRefused(db: Database, { id, grantId }: Watched): Promise<Refused | null> {
  const { rows } = await sql<Refused>`
    select b.reason, b.failed_at > steward.now() - ${unexplainedHours} * interval '1 hour' as fresh, cardinality(g.scopes) > 0 as named,
           coalesce(b.failed_at >= c.first_failed_at + ${secondLookMinutes} * interval '1 minute', true) as newer,
           c.interrupted_reason as interrupted,
           ${isGeneral} as general
      from steward.call_breakers b
      join steward.grants g on g.id = b.grant_id and b.failed_at >= g.consented_at
      join steward.org_connections c on c.id = ${id}
     where b.grant_id = ${grantId} and b.reason in ('missing_permission', 'missing_scope')`.execute(db);
  return rows[0] ?? null;
}

/**
 * Adds to what a look found what it cannot see: calls about meetings that Zoom refuses although listing works
 * (zoom-api: which privilege gates them is unknown). Explained by something that is listed as missing the refusal counts
 * until a meeting works again; unexplained for a day. A first look's own refusal is not counted twice: until there is a
 * newer one, ten minutes later, nothing is concluded. Unexplained, and of one host while others could host, it says
 * nothing about them: a role can be limited to groups of users.
 */
export async function withRefusedMeetings(db: Database, watched: Watched, verdict: Verdict): Promise<Verdict> {
  const listed =
    verdict.result === 'passed'
      ? verdict.warnings
      : verdict.result === 'failed' && verdict.evidence === 'lists'
        ? verdict.missing
        : null;
  if (listed === null) return verdict;
  const refused = await findRefused(db, watched);
  if (!refused) return verdict;
  const missing = refused.reason === 'missing_scope' ? `scope: ${call}` : `permission to ${call}`;
  const explains = refused.reason === 'missing_scope' ? /^scope: (create|change|delete) meetings\b/ : /^permission: /;
  const explained = listed.some((what) => explains.test(what));
  // Zoom misses a scope that this consent has by Zoom's own word: our application's mistake, not the customer's.
  if (refused.reason === 'missing_scope' && refused.named && !explained) return verdict;
  // What was listed as missing then is there again: calls may work as well, and nobody tries while it is interrupted.
  const given = watched.state === 'interrupted' && refused.interrupted !== [missing, ...listed].join('; ');
  if (!explained && (given || !refused.fresh || !refused.general)) return verdict;
  if (watched.state === 'active' && !refused.newer)
    return refused.fresh ? { result: 'inconclusive', reason: `${call}: refused, and not tried since` } : verdict;
  return { result: 'failed', missing: [missing, ...listed], evidence: 'calls' };
}

/**
 * A look that passed ends what was refused before it: calls decide anew. What one host was refused stays for a day: only
 * with what another is refused does it say something.
 */
export async function forgetRefusedMeetings(
  trx: Transaction<DB>,
  { id, grantId, lookedAt }: { readonly id: string; readonly grantId: string; readonly lookedAt: string },
): Promise<void> {
  await sql`
    delete from steward.call_breakers b using steward.org_connections c
     where b.grant_id = ${grantId} and c.id = ${id} and b.reason in ('missing_permission', 'missing_scope')
       and b.failed_at <= ${lookedAt}::timestamptz
       and (${isGeneral} or b.failed_at <= steward.now() - ${unexplainedHours} * interval '1 hour')`.execute(trx);
}
