import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { ConnectionState } from '../../src/connections/transitions.ts';
import type { Database } from '../../src/db/database.ts';

export type Person = { readonly id: string; readonly email: string };

export type TestOrganization = {
  readonly id: string;
  readonly name: string;
  readonly domain: string;
  readonly owner: Person;
  readonly admin: Person;
  readonly people: readonly Person[];
};

let made = 0;

/** An organization with an owner, an admin, and `users` plain members, all with verified addresses of its domain. */
export async function insertOrganization(
  db: Database,
  { users = 4, timeZone = 'UTC', domain }: { users?: number; timeZone?: string; domain?: string } = {},
): Promise<TestOrganization> {
  made += 1;
  const id = randomUUID();
  const itsDomain = domain ?? `org${made}.example`;
  const name = `Organization ${made}`;
  await sql`insert into steward_app.organizations (id, name, time_zone, verified_domains)
            values (${id}, ${name}, ${timeZone}, ${[itsDomain]})`.execute(db);
  const person = async (role: 'owner' | 'admin' | 'user', label: string): Promise<Person> => {
    const member = { id: randomUUID(), email: `${label}@${itsDomain}` };
    await sql`insert into steward_app.members (id, organization_id, name, email, email_verified, role)
              values (${member.id}, ${id}, ${label}, ${member.email}, true, ${role})`.execute(db);
    return member;
  };
  const owner = await person('owner', 'owner');
  const admin = await person('admin', 'admin');
  const people: Person[] = [];
  for (let n = 0; n < users; n += 1) people.push(await person('user', `user${n}`));
  return { id, name, domain: itsDomain, owner, admin, people };
}

/** An org connection put into a state by hand. */
export async function insertConnection(
  db: Database,
  organizationId: string,
  { state = 'none', generation = 1 }: { state?: ConnectionState; generation?: number } = {},
): Promise<string> {
  const id = randomUUID();
  await sql`insert into steward.org_connections (id, organization_id, state, generation, zoom_account_id, created_at)
            values (${id}, ${organizationId}, ${state}, ${generation}, null, steward.now())`.execute(db);
  return id;
}

/** The connection's row as it is. */
export async function connectionRow(db: Database, connectionId: string) {
  return db.selectFrom('steward.org_connections').selectAll().where('id', '=', connectionId).executeTakeFirstOrThrow();
}

/** Types of the events an organization was told, in order. */
export async function toldTypes(db: Database, organizationId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('steward.events')
    .select('type')
    .where('organization_id', '=', organizationId)
    .orderBy('seq')
    .execute();
  return rows.map((row) => row.type);
}

/** Moves the one clock of the database. */
export async function advanceClock(db: Database, interval: string): Promise<void> {
  await sql`update steward.clock set offset_by = offset_by + ${interval}::interval`.execute(db);
}

/** Moves the clock by at least the interval, to half past nine of the next working day (UTC): deadlines may end then. */
export async function advanceToMorning(db: Database, interval: string): Promise<void> {
  await sql`
    update steward.clock set offset_by = offset_by + (steward.working_time_from(
      date_trunc('day', steward.now() + ${interval}::interval, 'UTC') + interval '1 day', 'UTC') + interval '30 minutes' - steward.now())`.execute(
    db,
  );
}

/** From here on the database's clock stands still and moves only by advanceClock: seconds can be counted exactly. */
export async function stopClock(db: Database): Promise<void> {
  const { rows } = await sql<{ at: string }>`select steward.now()::text as at`.execute(db);
  await sql
    .raw(
      `create or replace function steward.now() returns timestamptz language sql stable parallel safe
         return timestamptz '${rows[0]?.at}' + (select offset_by from steward.clock)`,
    )
    .execute(db);
}
