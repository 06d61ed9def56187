import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';

export type OrganizationStatus = {
  readonly connectionId: string | null;
  readonly state: string;
  readonly generation: number;
  readonly observe: boolean;
  readonly zoomAccount: { readonly id: string; readonly name: string | null } | null;
  readonly approvedBy: string | null;
  readonly atRisk: string | null;
  readonly interrupted: {
    readonly reason: string | null;
    readonly since: string;
    readonly deadlineAt: string | null;
  } | null;
  readonly verifiedAt: Date | null;
  readonly verifyDueAt: Date | null;
  readonly openLinks: number;
  readonly waiting: readonly {
    readonly candidateId: string;
    readonly state: string;
    readonly why: string | null;
    readonly expiresAt: string;
  }[];
  /** members by stored effective connection */
  readonly effective: Readonly<Record<string, number>>;
  /** members served by the organization, by whether they can host */
  readonly hosting: Readonly<Record<string, number>>;
  readonly archived: { readonly restorable: number; readonly offered: number };
  readonly needLocation: number;
  readonly run: { readonly id: string; readonly state: string; readonly phase: string } | null;
};

/** Everything about one organization, whether or not it ever had a connection. */
export async function readOrganizationStatus(db: Database, organizationId: string): Promise<OrganizationStatus> {
  const { rows } = await sql<OrganizationStatus>`
    select c.id as "connectionId", coalesce(c.state, 'none') as state, coalesce(c.generation, 0) as generation,
           coalesce(c.observe, false) as observe,
           case when c.zoom_account_id is not null then jsonb_build_object('id', c.zoom_account_id, 'name', c.zoom_account_name) end as "zoomAccount",
           g.zoom_user_email as "approvedBy", c.at_risk_reason as "atRisk",
           case when c.state = 'interrupted' then jsonb_build_object('reason', c.interrupted_reason, 'since', c.interrupted_at, 'deadlineAt', c.deadline_at) end as interrupted,
           c.verified_at as "verifiedAt", c.verify_due_at as "verifyDueAt",
           (select count(*)::int from steward.connect_links l where l.connection_id = c.id and l.state = 'open') as "openLinks",
           (select coalesce(jsonb_agg(jsonb_build_object('candidateId', d.id, 'state', d.state, 'expiresAt', d.expires_at,
                     'why', coalesce(d.confirm_reason, d.verdict ->> 'reason')) order by d.created_at), '[]')
              from steward.candidates d where d.connection_id = c.id
               and d.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation')) as waiting,
           (select coalesce(jsonb_object_agg(effective, n), '{}') from (
              select effective, count(*)::int as n from steward.member_connections where organization_id = asked.id group by 1) e) as effective,
           (select coalesce(jsonb_object_agg(hosting, n), '{}') from (
              select hosting, count(*)::int as n from steward.member_connections
               where organization_id = asked.id and effective = 'organization' group by 1) h) as hosting,
           (select jsonb_build_object('restorable', count(*), 'offered', count(*) filter (
                     where a.offered and a.accepted_at is null and a.generation <> all(coalesce(c.restore_generations, '{}'))))
              from steward.archived_locations a
             where a.organization_id = asked.id and a.expires_at > steward.now() and a.neighbours <> 'superseded') as archived,
           (select count(*)::int from steward.event_type_flags f where f.organization_id = asked.id) as "needLocation",
           (select jsonb_build_object('id', r.id, 'state', r.state, 'phase', r.phase) from steward.runs r
             where r.organization_id = asked.id and r.target = 'organization' and r.state in ('queued', 'running', 'held')) as run
      from (values (${organizationId}::uuid)) as asked (id)
      left join steward.org_connections c on c.organization_id = asked.id
      left join steward.grants g on g.id = c.grant_id`.execute(db);
  return rows[0] as OrganizationStatus;
}
