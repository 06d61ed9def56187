import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';

export type FilledOrganization = {
  readonly organizationId: string;
  readonly connectionId: string;
  readonly account: string;
};

/**
 * An organization of so many members with an active connection and a directory, made in SQL. Member i (from 1) has the
 * address `i@ACCOUNT.test`; of ten, the last has an external personal Zoom and the ninth no Zoom user.
 * Ids are random; `memberOf` finds a member by number.
 */
export async function fillOrganization(db: Database, members: number): Promise<FilledOrganization> {
  const organizationId = randomUUID();
  const connectionId = randomUUID();
  const account = `acc${organizationId.slice(0, 8)}`;
  await sql`insert into steward_app.organizations (id, name) values (${organizationId}, 'Filled')`.execute(db);
  await sql`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role)
    select gen_random_uuid(), ${organizationId}, 'Member ' || i, i || '@' || ${account} || '.test', true, 'user'
      from generate_series(1, ${members}::integer) i`.execute(db);
  await sql`
    insert into steward_app.personal_connections (member_id, organization_id, state)
    select id, organization_id, 'connected' from steward_app.members
     where organization_id = ${organizationId} and split_part(email, '@', 1)::integer % 10 = 0`.execute(db);
  await sql`
    insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
    select ${account}, ${account} || ':' || i, ${account} || ':' || i, i || '@' || ${account} || '.test', 'active', 2, steward.now()
      from generate_series(1, ${members}::integer) i where i % 10 <> 9`.execute(db);
  await sql`insert into steward.directories (zoom_account_id, synced_at) values (${account}, steward.now())`.execute(
    db,
  );
  await sql`
    insert into steward.org_connections (id, organization_id, state, zoom_account_id, activated_at)
    values (${connectionId}, ${organizationId}, 'active', ${account}, steward.now())`.execute(db);
  return { organizationId, connectionId, account };
}

/** Id of the member with this number. */
export async function memberOf(
  db: Database,
  { organizationId, account }: FilledOrganization,
  number: number,
): Promise<string> {
  const { id } = await db
    .selectFrom('steward_app.members')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('email', '=', `${number}@${account}.test`)
    .executeTakeFirstOrThrow();
  return id;
}
