import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** Owes the next slice of every run that has not ended. @returns how many */
export async function oweOpenRuns(trx: Transaction<DB>): Promise<number> {
  const { numAffectedRows } = await sql`
    insert into steward.outbox (job, key, payload, created_at, available_at)
    select case when run.cascade then 'disconnect-organization' else 'reconcile-organization' end, run.id::text,
           jsonb_build_object('organizationId', run.organization_id, 'runId', run.id), steward.now(), steward.now()
      from steward.runs run
     where run.target = 'organization' and run.state in ('queued', 'running')`.execute(trx);
  return Number(numAffectedRows ?? 0);
}

/**
 * Owes a look at every organization: whatever was said about a member or an event type and is lost is found by it.
 * What is due by the clock needs nothing, the tick reads it from its rows. @returns how many
 */
export async function oweEveryOrganization(trx: Transaction<DB>): Promise<number> {
  const { numAffectedRows } = await sql`
    insert into steward.outbox (job, key, payload, created_at, available_at)
    select 'reconcile-organization', organization.id::text, jsonb_build_object('organizationId', organization.id),
           steward.now(), steward.now()
      from steward_app.organizations organization
     where organization.deleted_at is null`.execute(trx);
  return Number(numAffectedRows ?? 0);
}
