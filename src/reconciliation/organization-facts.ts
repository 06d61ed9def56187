import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../db/database.ts';

export type OrganizationState = 'none' | 'pending' | 'active' | 'interrupted' | 'disconnecting';

/** What the rules need to know of an organization. */
export type OrganizationFacts = {
  readonly organizationId: string;
  readonly connectionId: string | null;
  /** 0 without a connection */
  readonly generation: number;
  readonly state: OrganizationState;
  readonly everDisconnected: boolean;
  readonly observe: boolean;
  readonly zoomAccountId: string | null;
  readonly allowOptOut: boolean;
  readonly rollout: 'all' | 'groups' | 'domains';
  readonly rolloutGroups: readonly string[];
  readonly rolloutDomains: readonly string[];
  /** Zoom user who hosts for members without one; null also while that user cannot host */
  readonly sharedHost: string | null;
  readonly sharedHostType: number | null;
};

/** Facts to put in place of the true ones for a preview: a disconnect is `{ state: 'disconnecting' }`. */
export type Assumption = Partial<
  Pick<
    OrganizationFacts,
    'state' | 'allowOptOut' | 'rollout' | 'rolloutGroups' | 'rolloutDomains' | 'sharedHost' | 'sharedHostType'
  >
>;

/** The organization's facts as they are now; an organization without connection or settings has the defaults. */
export async function getOrganizationFacts(db: Database, organizationId: string): Promise<OrganizationFacts> {
  const { rows } = await sql<OrganizationFacts>`
    select organization_id as "organizationId", connection_id as "connectionId", generation, org_state as state,
           ever_disconnected as "everDisconnected", observe, zoom_account_id as "zoomAccountId", allow_opt_out as "allowOptOut",
           rollout, rollout_groups as "rolloutGroups", rollout_domains as "rolloutDomains",
           shared_host as "sharedHost", shared_host_type as "sharedHostType"
      from steward.organization_facts(${organizationId})`.execute(db);
  return rows[0] as OrganizationFacts;
}

/** The facts with an assumption in their place. An assumed disconnect is one that was decided. */
export function assumeFacts(facts: OrganizationFacts, assumption: Assumption = {}): OrganizationFacts {
  const assumed = { ...facts, ...assumption };
  return assumption.state === 'disconnecting' ? { ...assumed, everDisconnected: true } : assumed;
}

/** A relation for a `from`: live facts and results of these members under these facts of their organization. */
export function liveMembers(facts: OrganizationFacts, memberIds: readonly string[]): RawBuilder<unknown> {
  return sql`steward.live_members_under(${facts.organizationId}::uuid, ${memberIds}::uuid[], ${facts.state}::text,
    ${facts.everDisconnected}::boolean, ${facts.zoomAccountId}::text, ${facts.allowOptOut}::boolean, ${facts.rollout}::text,
    ${facts.rolloutGroups}::uuid[], ${facts.rolloutDomains}::text[], ${facts.sharedHost}::text, ${facts.sharedHostType}::smallint)`;
}

/** A relation for a `from`: what stored facts say the stored results should be. */
export function desiredMembers(facts: OrganizationFacts): RawBuilder<unknown> {
  return sql`steward.desired_members_under(${facts.organizationId}::uuid, null::uuid, null::uuid, ${facts.state}::text,
    ${facts.everDisconnected}::boolean, ${facts.allowOptOut}::boolean, ${facts.sharedHost}::text, ${facts.sharedHostType}::smallint)`;
}

/** The same under assumed facts, and beside each (`now_hosting`) whether they can host as things are. */
export function desiredMembersBeside(assumed: OrganizationFacts, now: OrganizationFacts): RawBuilder<unknown> {
  return sql`steward.desired_members_beside(${assumed.organizationId}::uuid, ${assumed.state}::text,
    ${assumed.everDisconnected}::boolean, ${assumed.allowOptOut}::boolean, ${assumed.sharedHost}::text, ${assumed.sharedHostType}::smallint,
    ${now.state}::text, ${now.everDisconnected}::boolean, ${now.allowOptOut}::boolean, ${now.sharedHost !== null}::boolean)`;
}

/** A relation for a `from`: why each member is served or not, by the stored facts. */
export function storedReasons({
  organizationId,
  state,
  everDisconnected,
  allowOptOut,
}: OrganizationFacts): RawBuilder<unknown> {
  return sql`steward.stored_reasons_under(${organizationId}::uuid, ${state}::text, ${everDisconnected}::boolean, ${allowOptOut}::boolean)`;
}
