import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';

/** A member's own Zoom, managed here or kept by the main app; nothing in it is a secret. */
export type PersonalStatus = {
  readonly kind: 'managed' | 'external' | 'none';
  readonly state: 'none' | 'connecting' | 'active' | 'suspect' | 'broken' | 'connected' | 'disconnected';
  /** a consent that is under way; asking: the member must say that the Zoom user is theirs */
  readonly consent: 'started' | 'asking' | null;
  readonly zoomAccountId: string | null;
  readonly zoomUserId: string | null;
  readonly zoomUserEmail: string | null;
};

/** With both, what serves: ours goes before one the main app keeps. Undefined: no such member of the organization. */
export async function findPersonal(
  db: Database,
  { organizationId, memberId }: { readonly organizationId: string; readonly memberId: string },
): Promise<PersonalStatus | undefined> {
  const { rows } = await sql<PersonalStatus>`
    select case when own.kept then 'managed' when x.state is not null then 'external' when p.state is not null then 'managed'
                else 'none' end as kind,
           coalesce(case when own.kept then p.state end, x.state, p.state, 'none') as state, c.consent,
           case when own.kept or x.state is null then p.zoom_account_id else x.zoom_account_id end as "zoomAccountId",
           case when own.kept or x.state is null then p.zoom_user_id else x.zoom_user_id end as "zoomUserId",
           case when own.kept then g.zoom_user_email end as "zoomUserEmail"
      from steward_app.members m
      left join steward.personal_connections p on p.member_id = m.id and p.organization_id = m.organization_id
      left join steward.grants g on g.id = p.grant_id
      left join steward_app.personal_connections x on x.member_id = m.id and x.organization_id = m.organization_id
      cross join lateral (select coalesce(p.state in ('active', 'suspect', 'broken'), false) as kept) own
      left join lateral (
        select case state when 'asking' then 'asking' else 'started' end as consent from steward.personal_consents
         where member_id = m.id and state in ('open', 'started', 'returned', 'exchanged', 'asking') and expires_at > steward.now()
         order by created_at desc limit 1) c on true
     where m.id = ${memberId} and m.organization_id = ${organizationId}`.execute(db);
  return rows[0];
}
