import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { Actor } from './audit-repository.ts';
import { insertOutbox } from './outbox-repository.ts';
import type { DB } from './schema.ts';

export type OrganizationRunRequest = {
  readonly connectionId: string;
  /** activated, disconnect, settings_changed, organization_changed, directory_changed, schedule, operator … */
  readonly cause: string;
  readonly actor: Actor;
  /**
   * What the run need not look at again, because whoever starts it changed nothing of it: the stored `facts` of the members,
   * or what is stored of `members` altogether. Believed only if the run before left them whole.
   */
  readonly stands?: 'facts' | 'members';
};

/**
 * The phase a run begins at. Where facts stand, the last run of the organization has passed them, itself or by the same
 * rule; one that had not or wrote nothing yet leaves no proof, and everything is looked at. Neither does one with a plan:
 * it was observed, or held because of what it found. Where members stand it has ended, under this generation.
 */
const firstPhase = (organizationId: string, generation: number, stands: OrganizationRunRequest['stands']) =>
  stands === undefined
    ? sql`'facts'`
    : sql`coalesce((
        select case when last.progress = '{}' or last.phase = 'facts' or last.plan is not null then 'facts'
                    when ${stands} = 'facts' then 'members'
                    when last.state = 'done' and last.generation = ${generation} then 'locations' end
          from steward.runs last
         where last.target_id = ${organizationId} and last.target = 'organization'
         order by last.created_at desc, last.ended_at desc limit 1), 'facts')`;

/**
 * Writes the run that an act on an org connection owes, under the connection's generation as this
 * transaction sees it, and supersedes the open one. In the state disconnecting the run is again the
 * cascade. Whoever raises a generation calls this in the same transaction (lifecycle §2).
 * @returns id of the run
 */
export async function startOrganizationRun(trx: Transaction<DB>, request: OrganizationRunRequest): Promise<string> {
  const id = randomUUID();
  const connection = await trx
    .selectFrom('steward.org_connections')
    .select(['organization_id', 'generation', 'state'])
    .where('id', '=', request.connectionId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const { rows: superseded } = await sql<{ id: string }>`
    update steward.runs set state = 'superseded', superseded_by = ${id}, ended_at = steward.now(), lease_token = null, lease_until = null
     where organization_id = ${connection.organization_id} and target = 'organization' and state in ('queued', 'running', 'held')
    returning id`.execute(trx);
  for (const run of superseded) await sql`select steward.end_lane(${run.id}::uuid)`.execute(trx);
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, connection_id, generation, cause, actor, cascade, state, phase, created_at)
    values (${id}, 'organization', ${connection.organization_id}, ${connection.organization_id}, ${request.connectionId},
            ${connection.generation}, ${request.cause}, ${request.actor}, ${connection.state === 'disconnecting'}, 'queued',
            ${firstPhase(connection.organization_id, connection.generation, request.stands)}, steward.now())`.execute(
    trx,
  );
  await insertOutbox(trx, {
    job: connection.state === 'disconnecting' ? 'disconnect-organization' : 'reconcile-organization',
    // The run's own key: a "look at this organization" waits beside it and is not merged with it.
    key: id,
    payload: { organizationId: connection.organization_id, runId: id },
  });
  return id;
}

/**
 * Lets a run that has not begun look at everybody after all: something of what it was to stand on has changed since, or is
 * said to have. The caller holds the connection.
 * @returns false: it has begun, and may have passed the place
 */
export async function lookAtFacts(trx: Transaction<DB>, runId: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update steward.runs set phase = 'facts' where id = ${runId} and state = 'queued' and started_at is null`.execute(
    trx,
  );
  return numAffectedRows === 1n;
}
