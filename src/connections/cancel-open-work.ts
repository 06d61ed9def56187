import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { releaseGrant } from '../grants/release.ts';
import { openCandidateStates } from './candidate-repository.ts';

/**
 * Ends every open link, attempt and candidate of a connection: somebody decided against it.
 */
export async function cancelOpenWork(trx: Transaction<DB>, connectionId: string, actor: Actor): Promise<void> {
  await sql`
    update steward.connect_attempts a
       set state = 'void', outcome = 'cancelled', sealed_verifier = null, ended_at = steward.now()
      from steward.connect_links l
     where l.id = a.link_id and l.connection_id = ${connectionId} and a.state in ('started', 'returned')`.execute(trx);
  await sql`
    update steward.connect_links set state = 'revoked', ended_at = steward.now()
     where connection_id = ${connectionId} and state = 'open'`.execute(trx);
  await endCandidates(trx, { connectionId }, 'cancelled', actor);
}

/**
 * Ends open candidates of a connection or link; grants that were filed through them and serve nothing else are handed
 * to their release in the same transaction.
 */
export async function endCandidates(
  trx: Transaction<DB>,
  of: { readonly connectionId: string; readonly exceptId?: string } | { readonly linkId: string },
  state: 'cancelled' | 'superseded',
  actor: Actor,
): Promise<void> {
  const ended = await trx
    .updateTable('steward.candidates')
    // A pair that nobody was named for yet is kept until Zoom said whose it is: it may have ended another one of ours.
    .set({
      state,
      look_due_at: sql`case when sealed_access is null then null else look_due_at end`,
      ended_at: sql`steward.now()`,
    })
    .where('state', 'in', openCandidateStates)
    .$if('connectionId' in of, (query) =>
      query.where('connection_id', '=', (of as { connectionId: string }).connectionId),
    )
    .$if('linkId' in of, (query) => query.where('link_id', '=', (of as { linkId: string }).linkId))
    .$if('exceptId' in of, (query) => query.where('id', '!=', (of as { exceptId: string }).exceptId))
    .returning(['grant_id', 'connection_id'])
    .execute();
  const grantIds = new Set(ended.flatMap((row) => (row.grant_id === null ? [] : [row.grant_id])));
  if (grantIds.size === 0) return;
  const { organization_id } = await trx
    .selectFrom('steward.org_connections')
    .select('organization_id')
    .where('id', '=', ended[0]?.connection_id as string)
    .executeTakeFirstOrThrow();
  for (const grantId of grantIds) {
    await releaseGrant(trx, { grantId, organizationId: organization_id, actor, reason: `candidate_${state}` });
  }
}
