import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { type HintSubject, oweLook, subjectName } from './hint-subject.ts';

export type HintCounts = { readonly connections: number; readonly candidates: number };

/**
 * Says "look" for what lives on a Zoom account – connections in use and candidates –, because a webhook
 * (`app_deauthorized`, `user.*`) or a refused call hints at trouble. With a Zoom user: only what that one authorized.
 * A hint changes no state.
 */
export async function hintAccount(
  trx: Transaction<DB>,
  {
    zoomAccountId,
    zoomUserId = null,
    actor,
    reason,
  }: {
    readonly zoomAccountId: string;
    readonly zoomUserId?: string | null;
    readonly actor: Actor;
    readonly reason: string;
  },
): Promise<HintCounts> {
  const { rows } = await sql<{ kind: 'connection' | 'candidate' | 'grant'; id: string }>`
    select 'connection' as kind, c.id from steward.org_connections c
     where c.zoom_account_id = ${zoomAccountId} and c.state in ('active', 'interrupted')
       and (${zoomUserId}::text is null
         or exists (select from steward.grants g where g.id = c.grant_id and g.zoom_user_id = ${zoomUserId}))
    union all
    select 'candidate', k.id from steward.candidates k join steward.grants g on g.id = k.grant_id
     where g.zoom_account_id = ${zoomAccountId} and k.state in ('verifying', 'waiting')
       and (${zoomUserId}::text is null or g.zoom_user_id = ${zoomUserId})
    union
    -- Judged already, and waiting for a person: only whether the grant still lives is of interest.
    select 'grant', g.id from steward.candidates k join steward.grants g on g.id = k.grant_id
     where g.zoom_account_id = ${zoomAccountId} and k.state = 'awaiting_confirmation'
       and (${zoomUserId}::text is null or g.zoom_user_id = ${zoomUserId})`.execute(trx);
  let owed = 0;
  for (const subject of inOrder(rows)) {
    const delayMs = await oweLook(trx, subject, zoomAccountId);
    if (delayMs === null) continue;
    owed += 1;
    const payload = payloadOf(subject);
    await insertOutbox(trx, { job: 'verify-admin-role', key: subject.id, payload, delayMs });
  }
  const counts = {
    connections: rows.filter(({ kind }) => kind === 'connection').length,
    candidates: rows.filter(({ kind }) => kind !== 'connection').length,
  };
  if (owed > 0) {
    const data = { zoomAccountId, ...counts, looksOwed: owed };
    await insertAudit(trx, { organizationId: null, actor, action: 'zoom_account.hint', reason, data });
  }
  return counts;
}

const payloadOf = ({ kind, id }: { readonly kind: 'connection' | 'candidate' | 'grant'; readonly id: string }) =>
  kind === 'connection'
    ? { connectionId: id }
    : kind === 'candidate'
      ? { candidateId: id }
      : { grantId: id, probe: true };

/** Subjects in the one order in which their rows are locked. */
export function inOrder<Subject extends HintSubject>(subjects: readonly Subject[]): Subject[] {
  return [...subjects].sort((a, b) => (subjectName(a) < subjectName(b) ? -1 : 1));
}
