import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { StewardError } from '../../errors.ts';
import { isUuid } from '../is-uuid.ts';

export type MemberFacts = {
  readonly active: boolean;
  readonly inRollout: boolean;
  readonly optedOut: boolean;
  readonly personal: string;
  readonly match: string;
  readonly zoomStatus: string | null;
  readonly zoomType: number | null;
};

export type StoredResult = {
  readonly effective: string;
  readonly reason: string;
  readonly hosting: string;
  readonly changedAt: Date;
  readonly runId: string | null;
};

export type FoundMember = {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly organization: string | null;
};

/** The member that somebody typed: id, or address if only one has it. One who left is found by the id of the stored row. */
export async function findMember(db: Database, typed: string): Promise<FoundMember> {
  const { rows } = isUuid(typed)
    ? await sql<FoundMember>`
        with present as (select id, organization_id, name from steward_app.members where id = ${typed}),
             departed as (select member_id, organization_id, '(left)' from steward.member_connections
                           where member_id = ${typed} and not exists (select from present) limit 1)
        select m.id::text, m.organization_id as "organizationId", m.name, o.name as organization
          from (table present union all table departed) m left join steward_app.organizations o on o.id = m.organization_id`.execute(
        db,
      )
    : await sql<FoundMember>`
        select m.id::text, m.organization_id as "organizationId", m.name, o.name as organization
          from steward_app.members m left join steward_app.organizations o on o.id = m.organization_id
         where m.email = ${typed} order by 1 limit 2`.execute(db);
  if (rows[0] && rows.length === 1) return rows[0];
  throw new StewardError(
    'member_not_found',
    `Expected the id or the e-mail address of one member, got "${typed}", which ${rows.length > 1 ? 'several have; use an id' : 'none has; "zoom-steward members ORG" lists them'}.`,
  );
}

/** The facts of a member as they are now, computed as the rule sees them. */
export async function readMemberFacts(db: Database, member: FoundMember): Promise<MemberFacts | undefined> {
  const { rows } = await sql<MemberFacts>`
    select active, in_rollout as "inRollout", opted_out as "optedOut", personal, match,
           zoom_status as "zoomStatus", zoom_type as "zoomType"
      from steward.live_members(${member.organizationId}, array[${member.id}::uuid])`.execute(db);
  return rows[0];
}

/** What the last run stored about the member; undefined before the first. */
export async function findStoredResult(db: Database, member: FoundMember): Promise<StoredResult | undefined> {
  const { rows } = await sql<StoredResult>`
    select effective, reason, hosting, changed_at as "changedAt", run_id as "runId" from steward.member_connections
     where organization_id = ${member.organizationId} and member_id = ${member.id}`.execute(db);
  return rows[0];
}
