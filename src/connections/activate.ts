import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import { deriveDomainMappings } from '../db/derived-mapping-repository.ts';
import { insertEvent } from '../db/event-repository.ts';
import { lookAtFacts } from '../db/run-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { releaseGrant } from '../grants/release.ts';
import { applyTransition } from './apply-transition.ts';
import type { lockConnection } from './authority.ts';
import { endCandidates } from './cancel-open-work.ts';
import { directoryIsFresh } from './directory-freshness.ts';
import { nextVerification } from './verification-times.ts';
import { wantWalk } from './want-walk.ts';

type LockedConnection = Awaited<ReturnType<typeof lockConnection>>;

/** A candidate locked together with its grant. */
export type LockedCandidate = {
  readonly id: string;
  readonly linkId: string | null;
  readonly grantId: string;
  readonly zoomAccountId: string;
  readonly approverEmail: string | null;
  readonly found: unknown;
};

export type Activation = { readonly connectionId: string; readonly generation: number; readonly runId: string };

/**
 * Makes a passed and confirmed candidate the connection in use, in one transaction (behaviour §3.7): pointer, state
 * active, generation + 1 and the run; candidate adopted, link completed, other candidates superseded; owners told.
 * A cascade under way is superseded, and what it archived returns by itself. Expects connection and candidate locked,
 * in this order.
 */
export async function activateCandidate(
  trx: Transaction<DB>,
  connection: LockedConnection,
  candidate: LockedCandidate,
  { actor, confirmedBy }: { readonly actor: Actor; readonly confirmedBy: string },
): Promise<Activation> {
  const anotherAccount = connection.zoom_account_id !== null && connection.zoom_account_id !== candidate.zoomAccountId;
  const served = connection.state === 'active' || connection.state === 'interrupted';
  const result = await applyTransition(trx, {
    connectionId: connection.id,
    event: 'verdict_confirmed',
    actor,
    cause: 'activated',
    seen: { generation: connection.generation },
    // Another admin of the same account: who is found there is as before, and a walk that found otherwise owes a run itself.
    factsStand: served && connection.zoom_account_id === candidate.zoomAccountId,
    set: {
      grant_id: candidate.grantId,
      zoom_account_id: candidate.zoomAccountId,
      ...(anotherAccount ? { zoom_account_name: null } : {}),
      activated_at: sql`steward.now()`,
      disconnected_at: null,
      at_risk_reason: null,
      interrupted_reason: null,
      interrupted_at: null,
      notice_event_seq: null,
      deadline_at: null,
      first_failed_at: null,
      deauthorized_at: null,
      verified_at: sql`steward.now()`,
      verify_due_at: nextVerification,
      // A plan that ended before the organization was disconnected is noticed anew.
      ...(served ? {} : { plan_ended_at: null, plan_notice_event_seq: null, plan_deadline_at: null }),
      ...(connection.state === 'disconnecting' ? { restore_generations: cascadeGenerations(connection.id) } : {}),
    },
    data: {
      candidateId: candidate.id,
      zoomAccountId: candidate.zoomAccountId,
      approvedBy: candidate.approverEmail,
      confirmedBy,
      found: candidate.found,
      anotherAccount,
      // The page and mail made from this offer it: whoever did not expect it disconnects at once.
      offer: 'this_was_not_us',
    },
  });
  if (result.outcome === 'refused' || result.runId === null) {
    throw new StewardError(
      'connection_moved',
      'The connection changed while it was being activated; look at it again.',
      {
        context: { connectionId: connection.id },
      },
    );
  }
  if (!served) await beginNewEventTypes(trx, connection.organization_id);
  await trx
    .updateTable('steward.candidates')
    .set({ state: 'adopted', confirmed_by: confirmedBy, look_due_at: null, ended_at: sql`steward.now()` })
    .where('id', '=', candidate.id)
    .execute();
  await endCandidates(trx, { connectionId: connection.id, exceptId: candidate.id }, 'superseded', actor);
  if (candidate.linkId !== null) {
    await trx
      .updateTable('steward.connect_links')
      .set({ state: 'completed', ended_at: sql`steward.now()` })
      .where('id', '=', candidate.linkId)
      .where('state', '=', 'open')
      .execute();
  }
  if (anotherAccount) await dropMappings(trx, connection.organization_id, candidate.zoomAccountId);
  // Whom that concerns is looked at by the run.
  const derived = await deriveDomainMappings(trx, {
    organizationId: connection.organization_id,
    memberIds: null,
    actor,
  });
  if (derived.length > 0) await lookAtFacts(trx, result.runId);
  await tellSharers(trx, connection.id, candidate.zoomAccountId);
  // Normally the candidate waited for a walk just now; a confirmation may come days later.
  if (
    !(await directoryIsFresh(trx, candidate.zoomAccountId, { connectionId: connection.id, candidateId: candidate.id }))
  ) {
    await wantWalk(trx, candidate.zoomAccountId);
  }
  if (connection.grant_id !== null && connection.grant_id !== candidate.grantId) {
    await releaseGrant(trx, {
      grantId: connection.grant_id,
      organizationId: connection.organization_id,
      actor,
      reason: 'replaced',
    });
  }
  return { connectionId: connection.id, generation: result.generation, runId: result.runId };
}

/** Event types made while the organization had no Zoom are not new to one that has it again: a one-time run is for those. */
async function beginNewEventTypes(trx: Transaction<DB>, organizationId: string): Promise<void> {
  await sql`
    update steward.organization_settings set new_event_types_since = clock_timestamp()
     where organization_id = ${organizationId} and zoom_for_new_event_types`.execute(trx);
}

/** Generations under which the cascade that is now superseded removed locations, beside those already returning. */
const cascadeGenerations = (connectionId: string) => sql<number[]>`(
  select array(select unnest(c.restore_generations)
               union select r.generation from steward.runs r
                      where r.connection_id = c.id and r.cascade and r.created_at >= c.disconnected_at
               union select c.generation)
    from steward.org_connections c where c.id = ${connectionId})`;

/** Mappings are about users of one Zoom account and end with it; members concerned are reconciled by the run. */
async function dropMappings(trx: Transaction<DB>, organizationId: string, zoomAccountId: string): Promise<void> {
  await trx
    .deleteFrom('steward.zoom_user_mappings')
    .where('organization_id', '=', organizationId)
    .where('zoom_account_id', '!=', zoomAccountId)
    .execute();
}

/** Owners of organizations already on this Zoom account are told that one more uses it (lifecycle §4). */
async function tellSharers(trx: Transaction<DB>, connectionId: string, zoomAccountId: string): Promise<void> {
  const sharers = await trx
    .selectFrom('steward.org_connections')
    .select(['id', 'organization_id'])
    .where('zoom_account_id', '=', zoomAccountId)
    .where('id', '!=', connectionId)
    .where('state', 'in', ['active', 'interrupted'])
    .execute();
  for (const sharer of sharers) {
    await insertEvent(trx, {
      organizationId: sharer.organization_id,
      type: 'connection.account_shared',
      subjectId: sharer.id,
      data: { zoomAccountId },
    });
  }
}
