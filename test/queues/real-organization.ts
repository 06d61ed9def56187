import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';

export type RealOrganization = { readonly organizationId: string; readonly connectionId: string };

/** An organization with an active connection that nobody has fanned out. */
export async function organizationWith(db: Database, members: number): Promise<RealOrganization> {
  const organizationId = randomUUID();
  const connectionId = randomUUID();
  await sql`insert into steward_app.organizations (id, name) values (${organizationId}, 'Acme')`.execute(db);
  await sql`
    insert into steward_app.members (id, organization_id, email, email_verified, name, role)
    select gen_random_uuid(), ${organizationId}, 'm' || n || '@acme.example', true, 'M ' || n, 'user'
      from generate_series(1, ${members}::int) n`.execute(db);
  await sql`
    insert into steward.org_connections (id, organization_id, state, zoom_account_id, verify_due_at)
    values (${connectionId}, ${organizationId}, 'active', 'acc', steward.now() + interval '6 hours')`.execute(db);
  return { organizationId, connectionId };
}

/** How many members are stored as served by what. */
export async function stored(db: Database, organizationId: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ effective: string; members: number }>`
    select effective, count(*)::int as members from steward.member_connections
     where organization_id = ${organizationId} group by effective`.execute(db);
  return Object.fromEntries(rows.map(({ effective, members }) => [effective, members]));
}

/** State and place of a run. */
export const runState = (db: Database, runId: string) =>
  db.selectFrom('steward.runs').select(['state', 'phase', 'cursor']).where('id', '=', runId).executeTakeFirstOrThrow();

/** Lets the database's clock jump, so that leases and heartbeats are over that nobody renews. */
export const passTime = (db: Database, seconds: number) =>
  sql`update steward.clock set offset_by = offset_by + ${seconds} * interval '1 second'`.execute(db);
