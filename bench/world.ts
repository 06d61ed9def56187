import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../src/db/database.ts';

/** Zoom account of the benchmark's organization. */
export const benchAccountId = 'acc_bench';

export type BenchOrganization = {
  readonly organizationId: string;
  readonly connectionId: string;
  readonly grantId: string;
};

/**
 * An organization with `members` members, 10 % of them with a personal Zoom, 90 % with a Zoom user, and an
 * active connection whose run nobody has begun. `prefix` keeps several organizations apart.
 */
export async function seedOrganization(db: Database, members: number, prefix = 'b'): Promise<BenchOrganization> {
  const organizationId = randomUUID();
  const connectionId = randomUUID();
  const grantId = randomUUID();
  const account = `${benchAccountId}_${prefix}`;
  const memberId = (i: string) => `md5('${prefix}:member:' || ${i})::uuid`;
  const run = (text: string) => sql.raw(text).execute(db);
  await run(`insert into steward_app.organizations (id, name) values ('${organizationId}', 'Bench ${prefix}')`);
  await run(`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role)
    select ${memberId('i')}, '${organizationId}', 'Member ' || i, '${prefix}-' || i || '@bench.example', true, case i when 0 then 'owner' else 'user' end
      from generate_series(0, ${members - 1}) i`);
  await run(`
    insert into steward_app.personal_connections (member_id, organization_id, state)
    select ${memberId('i')}, '${organizationId}', 'connected' from generate_series(7, ${members - 1}, 10) i`);
  await run(`
    insert into steward.directories (zoom_account_id, synced_at, users) values ('${account}', now(), ${members})`);
  await run(`
    insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
    select '${account}', '${prefix}_zu_' || i, '${prefix}_zu_' || i, '${prefix}-' || i || '@bench.example', 'active', case when i % 5 = 0 then 1 else 2 end, now()
      from generate_series(0, ${members - 1}) i where i % 10 <> 3`);
  await run(`
    insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, consented_at)
    values ('${grantId}', 'admin', 'bench', '${account}', '${prefix}_zu_0', 'living', 'x', 'x', now())`);
  await run(`
    insert into steward.org_connections (id, organization_id, state, zoom_account_id, grant_id, activated_at)
    values ('${connectionId}', '${organizationId}', 'active', '${account}', '${grantId}', now())`);
  return { organizationId, connectionId, grantId };
}

/** `eventTypes` solo event types of the organization's members, 30 % with Zoom among two other locations. */
export async function seedEventTypes(
  db: Database,
  organization: BenchOrganization,
  members: number,
  eventTypes: number,
  prefix = 'b',
): Promise<void> {
  const run = (text: string) => sql.raw(text).execute(db);
  await run(`
    insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
    select md5('${prefix}:event:' || i)::uuid, '${organization.organizationId}', 'solo', md5('${prefix}:member:' || i % ${members})::uuid, '30 minutes'
      from generate_series(0, ${eventTypes - 1}) i`);
  await run(`
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
    select md5('${prefix}:location:' || i || ':' || p)::uuid, md5('${prefix}:event:' || i)::uuid, '${organization.organizationId}', p,
           case p when 0 then 'physical' when 1 then 'zoom_conference' else 'outbound_call' end,
           case p when 0 then jsonb_build_object('address', 'Room ' || i) when 1 then '{}' else jsonb_build_object('phone', '+49 30 ' || i) end
      from generate_series(0, ${eventTypes - 1}) i, generate_series(0, 2) p
     where p <> 1 or i % 10 in (1, 4, 8)`);
}

/** What autovacuum would have done before anybody looks at a full installation. */
export async function settle(db: Database): Promise<void> {
  await sql`vacuum analyze`.execute(db);
  await sql`checkpoint`.execute(db);
}
