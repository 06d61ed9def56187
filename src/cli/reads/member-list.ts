import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';

export type ListedMember = {
  readonly id: string;
  readonly name: string | null;
  readonly effective: string;
  readonly reason: string;
  readonly hosting: string;
  readonly zoomUserId: string | null;
  readonly basicPlan: boolean;
  readonly sharedHost: boolean;
  readonly changedAt: Date;
};

export type MemberFilter = {
  readonly organizationId: string;
  readonly effective?: string;
  readonly hosting?: string;
  /** keyset: only members with a greater id */
  readonly after?: string;
  readonly limit: number;
};

/** Members with their stored result, in the order of their ids. */
export async function listMembers(db: Database, filter: MemberFilter): Promise<ListedMember[]> {
  const { rows } = await sql<ListedMember>`
    select c.member_id as id, m.name, c.effective, c.reason, c.hosting, c.zoom_user_id as "zoomUserId",
           c.basic_plan as "basicPlan", c.shared_host as "sharedHost", c.changed_at as "changedAt"
      from steward.member_connections c
      left join steward_app.members m on m.id = c.member_id and m.organization_id = c.organization_id
     where c.organization_id = ${filter.organizationId}
       and c.member_id > coalesce(${filter.after ?? null}::uuid, '00000000-0000-0000-0000-000000000000')
       and (${filter.effective ?? null}::text is null or c.effective = ${filter.effective ?? null})
       and (${filter.hosting ?? null}::text is null or c.hosting = ${filter.hosting ?? null})
     order by c.member_id limit ${filter.limit}`.execute(db);
  return rows;
}
