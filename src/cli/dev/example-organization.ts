import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';

/** The simulator's own account has users with these addresses; the last members have no Zoom user. */
const domain = 'simulator.example';
/** Whom to sign in as at the simulated Zoom to approve: an admin of that account. */
export const exampleZoomAdmin = `admin@${domain}`;
const memberCount = 12;
const withoutZoomUser = 2;

/** Fills an empty main app with one organization whose members the simulated Zoom knows. Returns its name. */
export async function seedExample(db: Database): Promise<string> {
  const name = 'Example';
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ id: string }>`
      insert into steward_app.organizations (id, name, time_zone, verified_domains)
      select gen_random_uuid(), ${name}, 'Europe/Berlin', array[${domain}]
       where not exists (select from steward_app.organizations) returning id`.execute(trx);
    const id = rows[0]?.id;
    if (id === undefined) return;
    await sql`
      insert into steward_app.members (id, organization_id, name, email, email_verified, role)
      select gen_random_uuid(), ${id}, case i when 0 then 'Olivia Owner' else 'Member ' || i end,
             case when i = 0 then 'owner' when i > ${memberCount - withoutZoomUser - 1} then 'new-' || i else 'member-' || i end || '@' || ${domain},
             true, case i when 0 then 'owner' when 1 then 'admin' else 'user' end
        from generate_series(0, ${memberCount - 1}) i`.execute(trx);
    await sql`
      insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
      select gen_random_uuid(), organization_id, 'solo', id, '30 minutes with ' || name from steward_app.members`.execute(
      trx,
    );
    await sql`
      insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
      select gen_random_uuid(), e.id, e.organization_id, l.position, l.kind, l.details
        from steward_app.event_types e
        cross join (values (0, 'zoom_conference', '{}'::jsonb), (1, 'physical', '{"address": "Room 4"}'::jsonb)) l (position, kind, details)`.execute(
      trx,
    );
  });
  return name;
}
