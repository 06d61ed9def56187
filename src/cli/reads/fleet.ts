import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { stuckAfterS } from '../../operating/fleet-facts.ts';

export type FleetStatus = {
  readonly organizations: number;
  readonly states: Readonly<Record<string, number>>;
  readonly atRisk: number;
  /** members served by an organization whose connection is interrupted */
  readonly membersWithoutHost: number;
  readonly runs: { readonly open: number; readonly held: number; readonly stuck: number };
  readonly outbox: { readonly unsent: number; readonly oldestAgeS: number };
};

/** What operators want to know first: who is hurt, then what waits. */
export async function readFleet(db: Database): Promise<FleetStatus> {
  const { rows } = await sql<FleetStatus>`
    select
      (select count(*)::int from steward_app.organizations where deleted_at is null) as organizations,
      (select coalesce(jsonb_object_agg(state, n), '{}')
         from (select state, count(*)::int as n from steward.org_connections group by state) s) as states,
      (select count(*)::int from steward.org_connections where at_risk_reason is not null) as "atRisk",
      (select count(*)::int from steward.org_connections c
         join steward.member_connections m on m.organization_id = c.organization_id and m.effective = 'organization'
        where c.state = 'interrupted') as "membersWithoutHost",
      (select jsonb_build_object(
                'open', count(*) filter (where state in ('queued', 'running')),
                'held', count(*) filter (where state = 'held'),
                'stuck', count(*) filter (where state in ('queued', 'running')
                   and coalesce(lease_until, started_at, created_at) < steward.now() - ${stuckAfterS} * interval '1 second'))
         from steward.runs where state in ('queued', 'running', 'held')) as runs,
      (select jsonb_build_object('unsent', count(*),
                'oldestAgeS', coalesce(round(extract(epoch from steward.now() - min(available_at)))::int, 0))
         from steward.outbox where available_at <= steward.now()) as outbox`.execute(db);
  return rows[0] as FleetStatus;
}

export type TroubledOrganization = {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly why: string | null;
  readonly members: number;
  readonly deadlineAt: Date | null;
};

/** Organizations that need somebody: interrupted first, then at risk, disconnecting, pending. At most `limit`. */
export async function listTroubled(db: Database, limit: number): Promise<TroubledOrganization[]> {
  const { rows } = await sql<TroubledOrganization>`
    select c.organization_id as id, coalesce(o.name, '(gone from the main app)') as name, c.state,
           coalesce(c.interrupted_reason, c.at_risk_reason, c.disconnect_cause) as why, c.deadline_at as "deadlineAt",
           (select count(*)::int from steward.member_connections m
             where m.organization_id = c.organization_id and m.effective = 'organization') as members
      from steward.org_connections c left join steward_app.organizations o on o.id = c.organization_id
     where c.state in ('interrupted', 'disconnecting', 'pending') or c.at_risk_reason is not null
     order by array_position(array['interrupted', 'active', 'disconnecting', 'pending'], c.state), c.organization_id
     limit ${limit}`.execute(db);
  return rows;
}
