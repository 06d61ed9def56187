import { sql } from 'kysely';
import { type BenchOrganization, benchAccountId, seedEventTypes, seedOrganization, settle } from '../../bench/world.ts';
import type { Database } from '../../src/db/database.ts';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { acceptRestore } from '../../src/reconciliation/locations-restore.ts';

/** The three kinds of run that are killed, in the order of an organization's life. */
export const stages = ['fan-out', 'cascade', 'restore'] as const;
export type StageName = (typeof stages)[number];

/** An organization whose connection is active and whose run nobody has begun. */
export async function seedLife(db: Database, members: number): Promise<BenchOrganization> {
  const organization = await seedOrganization(db, members, 'c');
  await seedEventTypes(db, organization, members, members * 2, 'c');
  await sql`
    insert into steward_app.bookings (id, organization_id, host_member_id, starts_at, meeting_connection_id, meeting_zoom_account_id, join_url)
    select md5('booking:' || i)::uuid, ${organization.organizationId}, md5('c:member:' || i)::uuid, now() + interval '3 days',
           ${organization.connectionId}, 'acc_bench_c', 'https://zoom.example/j/' || i
      from generate_series(0, ${Math.floor(members / 4)}) i`.execute(db);
  await sql`
    insert into steward.organization_settings (organization_id, fallback_location)
    values (${organization.organizationId}, '{"kind": "ask_invitee", "details": {}}')`.execute(db);
  await keepDirectory(db);
  await settle(db);
  return organization;
}

/**
 * Another organization connects the same Zoom account all the while. Without it upkeep would rightly delete the copy of
 * the directory after the cascade, and the restore, which in these lives no consent with its walk comes before, would
 * find nobody.
 */
async function keepDirectory(db: Database): Promise<void> {
  const { connectionId, grantId } = await seedOrganization(db, 1, 'n');
  const account = `${benchAccountId}_c`;
  await sql`update steward.grants set zoom_account_id = ${account} where id = ${grantId}`.execute(db);
  await sql`update steward.org_connections set zoom_account_id = ${account} where id = ${connectionId}`.execute(db);
}

/** Does what begins a stage – the state and its run in one transaction – and returns the run's id. */
export async function beginStage(
  db: Database,
  stage: StageName,
  { organizationId, connectionId, grantId }: BenchOrganization,
): Promise<string> {
  return db.transaction().execute(async (trx) => {
    switch (stage) {
      case 'fan-out':
        return startOrganizationRun(trx, { connectionId, cause: 'activated', actor: 'operator:crash' });
      case 'cascade':
        await sql`update steward.org_connections set state = 'disconnecting', disconnect_cause = 'person', disconnected_at = steward.now(),
                  generation = generation + 1 where id = ${connectionId}`.execute(trx);
        return startOrganizationRun(trx, { connectionId, cause: 'disconnect', actor: 'operator:crash' });
      case 'restore': {
        // Somebody connected again; the grant is the one that the cascade gave up.
        await sql`update steward.grants set state = 'living', sealed_access = 'x', sealed_refresh = 'x', dead_reason = null, retire_until = null where id = ${grantId}`.execute(
          trx,
        );
        await sql`update steward.org_connections set state = 'active', grant_id = ${grantId}, disconnected_at = null, disconnect_cause = null,
                  generation = generation + 1 where id = ${connectionId}`.execute(trx);
        const runId = await acceptRestore(trx, { organizationId, actor: 'operator:crash' });
        if (runId === null) throw new Error('Expected locations on offer after the cascade, found none');
        return runId;
      }
      default:
        return stage satisfies never;
    }
  });
}

/** Whether the stage is over: the run is done, and after a cascade the connection has nothing any more. */
export async function stageIsOver(db: Database, stage: StageName, runId: string): Promise<boolean> {
  const run = await db
    .selectFrom('steward.runs as r')
    .innerJoin('steward.org_connections as c', 'c.id', 'r.connection_id')
    .select(['r.state', 'r.error', 'c.state as connection'])
    .where('r.id', '=', runId)
    .executeTakeFirstOrThrow();
  if (run.state === 'failed' || run.state === 'held' || run.state === 'superseded')
    throw new Error(`The ${stage} run ended as ${run.state}: ${run.error ?? ''}`);
  return run.state === 'done' && (stage !== 'cascade' || run.connection === 'none');
}
