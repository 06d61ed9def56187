import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import { startOrganizationRun } from '../db/run-repository.ts';
import type { DB } from '../db/schema.ts';

/**
 * A person accepts that what disconnects of the organization took returns: the generations of those removals are
 * kept with the connection, and a run is written that brings back whatever somebody can host and nobody edited.
 * Accepting again, or with nothing on offer, changes nothing.
 * @returns id of the run, or null if nothing was on offer
 */
export async function acceptRestore(
  trx: Transaction<DB>,
  { organizationId, actor }: { organizationId: string; actor: Actor },
): Promise<string | null> {
  // One at a time, and before the generations are read: a second click finds them accepted.
  const { rows: connections } = await sql<{ id: string }>`
    select id from steward.org_connections where organization_id = ${organizationId} for update`.execute(trx);
  const connectionId = connections[0]?.id;
  if (connectionId === undefined) return null;
  const { rows } = await sql<{ generations: number[] }>`
    with accepted as (
      select c.id, array(select distinct a.generation from steward.archived_locations a
                          where a.organization_id = ${organizationId} and a.offered and a.cause = 'organization_disconnected'
                            and a.accepted_at is null and a.neighbours <> 'superseded' and a.expires_at > steward.now()
                            and a.generation <> all(c.restore_generations) order by 1) as generations
        from steward.org_connections c where c.id = ${connectionId})
    update steward.org_connections c set restore_generations = c.restore_generations || a.generations
      from accepted a where a.id = c.id and cardinality(a.generations) > 0
    returning a.generations::float8[] as generations`.execute(trx);
  const generations = rows[0]?.generations;
  if (!generations) return null;
  const runId = await startOrganizationRun(trx, { connectionId, cause: 'restore_accepted', actor, stands: 'members' });
  await insertAudit(trx, {
    organizationId,
    actor,
    action: 'locations.restore_accepted',
    subjectId: runId,
    data: { generations },
  });
  return runId;
}

/**
 * The same for what one member's own disconnect took: the copies of the event types they own, are assigned to or
 * host are accepted, and a look at the member is owed.
 * @returns event types accepted; 0: nothing was on offer, and nothing was written
 */
export async function acceptMemberRestore(
  trx: Transaction<DB>,
  { organizationId, memberId, actor }: { organizationId: string; memberId: string; actor: Actor },
): Promise<number> {
  const { rows } = await sql<{ eventTypes: number }>`
    with served as (
      select id from steward_app.event_types where organization_id = ${organizationId} and host_member_id = ${memberId}
       union select event_type_id from steward_app.event_type_hosts where organization_id = ${organizationId} and member_id = ${memberId}),
    accepted as (
      update steward.archived_locations a set accepted_at = steward.now() from served s
       where a.organization_id = ${organizationId} and a.event_type_id = s.id and a.offered and a.accepted_at is null
         and a.neighbours <> 'superseded' and a.expires_at > steward.now()
      returning a.event_type_id)
    select count(distinct event_type_id)::int as "eventTypes" from accepted`.execute(trx);
  const eventTypes = rows[0]?.eventTypes ?? 0;
  if (eventTypes === 0) return 0;
  await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
  await insertAudit(trx, {
    organizationId,
    actor,
    action: 'locations.member_restore_accepted',
    subjectId: memberId,
    data: { eventTypes },
  });
  return eventTypes;
}

/** Deletes copies that can no longer be restored, at most so many at once. @returns copies deleted */
export async function pruneArchivedLocations(trx: Transaction<DB>, { limit }: { limit: number }): Promise<number> {
  const { rows } = await sql<{ pruned: number }>`
    with pruned as (
      delete from steward.archived_locations where id in (
        select id from steward.archived_locations where expires_at <= steward.now() order by expires_at limit ${limit} for update skip locked)
      returning 1)
    select count(*)::int as pruned from pruned`.execute(trx);
  return rows[0]?.pruned ?? 0;
}
