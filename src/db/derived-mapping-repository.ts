import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from './audit-repository.ts';
import { insertEvent } from './event-repository.ts';
import type { DB } from './schema.ts';

/** What became of one member: hosts as this Zoom user from now on, null as nobody, and as whom before. */
export type DerivedMapping = {
  readonly memberId: string;
  readonly was: string | null;
  readonly zoomUserId: string | null;
};

export type DeriveRequest = {
  readonly organizationId: string;
  /** these and whom it concerns with them; null: everybody */
  readonly memberIds: readonly string[] | null;
  readonly actor: Actor;
};

/** So many members are told one by one; more in one event for each thousand. */
export const toldSingly = 50;
const membersAnEvent = 1_000;

/** Tells members as which Zoom user they host from now on. */
export async function tellMapped(
  trx: Transaction<DB>,
  organizationId: string,
  mapped: readonly { readonly memberId: string; readonly zoomUserId: string | null }[],
): Promise<void> {
  if (mapped.length <= toldSingly) {
    for (const { memberId, zoomUserId } of mapped)
      await insertEvent(trx, { organizationId, type: 'member.mapped', subjectId: memberId, data: { zoomUserId } });
    return;
  }
  for (let at = 0; at < mapped.length; at += membersAnEvent) {
    const memberIds = mapped.slice(at, at + membersAnEvent).map(({ memberId }) => memberId);
    await insertEvent(trx, { organizationId, type: 'members.mapped', data: { memberIds } });
  }
}

/** How many are new, moved and ended. */
export const countDerived = (changes: readonly DerivedMapping[]) => ({
  new: changes.filter(({ was }) => was === null).length,
  moved: changes.filter(({ was, zoomUserId }) => was !== null && zoomUserId !== null).length,
  ended: changes.filter(({ zoomUserId }) => zoomUserId === null).length,
});

/**
 * Brings the mappings that follow from pairs of domains up to the facts (docs/directory.md). Members are told and it is
 * audited; who looks at them is the caller's to say. An organization without pairs, or that is not connected, has none to
 * derive: then this is one look. Takes the connection's row for share; the caller takes it before anything below it.
 */
export async function deriveDomainMappings(
  trx: Transaction<DB>,
  { organizationId, memberIds, actor }: DeriveRequest,
): Promise<DerivedMapping[]> {
  const connection = await sql<{ zoomAccountId: string }>`
    select c.zoom_account_id as "zoomAccountId" from steward.org_connections c
     where c.organization_id = ${organizationId} and c.state in ('active', 'interrupted') and c.zoom_account_id is not null
       and exists (select from steward.domain_equivalences e where e.organization_id = c.organization_id)
       for share of c`.execute(trx);
  const [row] = connection.rows;
  if (!row) return [];
  const { rows: changes } = await sql<DerivedMapping>`
    select member_id as "memberId", was, zoom_user_id as "zoomUserId"
      from steward.derive_domain_mappings(${organizationId}, ${row.zoomAccountId}, ${memberIds === null ? null : [...memberIds]}::uuid[])`.execute(
    trx,
  );
  if (changes.length === 0) return changes;
  await insertAudit(trx, {
    organizationId,
    actor,
    action: 'mappings.derived',
    ...(changes.length === 1 ? { subjectId: changes[0]?.memberId as string } : {}),
    data: { zoomAccountId: row.zoomAccountId, ...countDerived(changes) },
  });
  await tellMapped(trx, organizationId, changes);
  return changes;
}
