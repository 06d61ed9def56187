import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import { type OrganizationRunRequest, startOrganizationRun } from '../../../src/db/run-repository.ts';
import { type AdvanceOptions, advanceRun, type Slice } from '../../../src/reconciliation/advance-run.ts';
import type { FilledOrganization } from './fill-organization.ts';

/** Writes a run for the organization, as an act on its connection would. */
export function startRun(
  db: Database,
  { connectionId }: FilledOrganization,
  cause = 'organization_changed',
): Promise<string> {
  return db.transaction().execute((trx) => startOrganizationRun(trx, { connectionId, cause, actor: 'app' }));
}

/** One chunk and no more. */
export function oneChunk(db: Database, runId: string, options: AdvanceOptions = {}): Promise<Slice> {
  return advanceRun(db, runId, { ...options, sliceMs: 0 });
}

/** Slices until the run ends, or stops for a reason. */
export async function playRun(db: Database, runId: string, options: AdvanceOptions = {}): Promise<Slice> {
  for (let slices = 0; slices < 1_000; slices++) {
    const slice = await advanceRun(db, runId, options);
    if (slice.state !== 'more') return slice;
  }
  throw new Error(`run ${runId} did not end within 1,000 slices`);
}

/** A new run from beginning to end. */
export async function reconcileAll(
  db: Database,
  organization: FilledOrganization,
  options: AdvanceOptions = {},
): Promise<Slice> {
  return playRun(db, await startRun(db, organization), options);
}

/** Changes the connection the way an act does: a new generation, and the run it owes. Returns the run. */
export function changeConnection(
  db: Database,
  { connectionId }: FilledOrganization,
  to: { state: string; zoomAccountId?: string },
  stands?: OrganizationRunRequest['stands'],
): Promise<string> {
  return db.transaction().execute(async (trx) => {
    await sql`
      update steward.org_connections
         set state = ${to.state}, generation = generation + 1,
             disconnected_at = case when ${to.state} = 'disconnecting' then steward.now() when ${to.state} = 'active' then null else disconnected_at end,
             disconnect_cause = case when ${to.state} = 'disconnecting' then 'person' else disconnect_cause end,
             zoom_account_id = coalesce(${to.zoomAccountId ?? null}, zoom_account_id)
       where id = ${connectionId}`.execute(trx);
    return startOrganizationRun(trx, { connectionId, cause: to.state, actor: 'app', ...(stands ? { stands } : {}) });
  });
}

/** Stored results by state, e.g. `{ 'organization/can_host': 16 }`. */
export async function storedResults(db: Database, organizationId: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ what: string; n: number }>`
    select effective || '/' || hosting as what, count(*) as n from steward.member_connections
     where organization_id = ${organizationId} group by 1 order by 1`.execute(db);
  return Object.fromEntries(rows.map(({ what, n }) => [what, n]));
}

/** The physical version of every row a run may write, so that a rewrite of equal values shows. */
export async function rowVersions(db: Database, organizationId: string): Promise<unknown[]> {
  const { rows } = await sql`
    select 'facts' as what, member_id::text as id, xmin::text, ctid::text from steward.member_facts where organization_id = ${organizationId}
    union all select 'result', member_id::text, xmin::text, ctid::text from steward.member_connections where organization_id = ${organizationId}
    union all select 'booking', id::text, xmin::text, ctid::text from steward_app.bookings where organization_id = ${organizationId}
    union all select 'location', id::text, xmin::text, ctid::text from steward_app.locations where organization_id = ${organizationId}
    union all select 'event type', id::text, xmin::text, ctid::text from steward_app.event_types where organization_id = ${organizationId}
    union all select 'archive', id::text, xmin::text, ctid::text from steward.archived_locations where organization_id = ${organizationId}
    order by 1, 2`.execute(db);
  return rows;
}

/** Types of the organization's events since the sequence number, in order. */
export async function eventsSince(
  db: Database,
  organizationId: string,
  seq = 0,
): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const { rows } = await sql<{ type: string; data: Record<string, unknown> }>`
    select type, data from steward.events where organization_id = ${organizationId} and seq > ${seq} order by seq`.execute(
    db,
  );
  return rows;
}

/** The newest sequence number of events. */
export async function lastEvent(db: Database): Promise<number> {
  const { rows } = await sql<{ seq: number }>`select coalesce(max(seq), 0) as seq from steward.events`.execute(db);
  return rows[0]?.seq ?? 0;
}
