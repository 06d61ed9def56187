import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { OrganizationState } from './organization-facts.ts';
import type { Effective, Hosting, Reason } from './results.ts';

/** Who serves a member now, and whether they can host. */
export type ResolvedMember = {
  readonly memberId: string;
  /** null: no such member */
  readonly organizationId: string | null;
  readonly effective: Effective;
  /** the rule that decided */
  readonly reason: Reason;
  readonly hosting: Hosting;
  /** Zoom user to host as; null where the member cannot host, or the main app keeps their connection and did not say */
  readonly zoomUserId: string | null;
  /** org connection or managed personal connection that serves; null for none and for an external one */
  readonly connectionId: string | null;
  /** external: the main app keeps the tokens, its answer to credentials is `use_your_own`; null unless personal */
  readonly personalKind: 'managed' | 'external' | null;
  readonly zoomAccountId: string | null;
  /** of the org connection, 0 without one */
  readonly generation: number;
  readonly organizationState: OrganizationState;
  /** hosts as a basic Zoom user: meetings end after 40 minutes */
  readonly basicPlan: boolean;
  readonly sharedHost: boolean;
  /** the member's own Zoom is broken, whoever serves meanwhile */
  readonly personalBroken: boolean;
  /** the organization's Zoom works, and something it should have is missing */
  readonly atRisk: boolean;
};

/**
 * Decides by behaviour §4 for one member, from the facts as they are committed now: no stored result, no run
 * and no worker is needed. A fraction of a millisecond, whatever the size of the organization. An id that is
 * no member answers `member_inactive`.
 */
export async function resolveMember(db: Database, memberId: string): Promise<ResolvedMember> {
  const { rows } = await sql<ResolvedMember>`
    select member_id as "memberId", organization_id as "organizationId", effective, reason, hosting, zoom_user_id as "zoomUserId",
           connection_id as "connectionId", personal_kind as "personalKind", zoom_account_id as "zoomAccountId", generation,
           org_state as "organizationState", basic_plan as "basicPlan", via_shared_host as "sharedHost",
           personal_broken as "personalBroken", at_risk as "atRisk"
      from steward.resolve_member(${memberId})`.execute(db);
  return rows[0] as ResolvedMember;
}
