import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../../db/audit-repository.ts';
import {
  type DerivedMapping,
  deriveDomainMappings,
  tellMapped,
  toldSingly,
} from '../../db/derived-mapping-repository.ts';
import { startOrganizationRun } from '../../db/run-repository.ts';
import type { DB } from '../../db/schema.ts';
import type { AddressForms } from '../address-forms.ts';
import { type Asker, actorOf, assertIsOwner, lockConnection } from '../authority.ts';
import type { MappingWish } from './read-csv.ts';
import { getMappedAccount, type WeighedMapping, weighMappings } from './weigh-mappings.ts';

export type MappingRequest = {
  readonly organizationId: string;
  readonly wishes: readonly MappingWish[];
  readonly asker: Asker;
  readonly forms: AddressForms;
};

export type WrittenMappings =
  | { readonly state: 'written'; readonly changed: number; readonly mappings: readonly WeighedMapping[] }
  /** one or more wishes cannot be done: none was */
  | { readonly state: 'refused'; readonly mappings: readonly WeighedMapping[] };

/**
 * Makes and ends mappings of members to Zoom users: all of them, or – if one cannot be done – none. An owner may, or an
 * operator with a reason (lifecycle §6). Members who are not named keep theirs. In the same transaction members are
 * told and "look" is said.
 */
export async function writeMappings(trx: Transaction<DB>, request: MappingRequest): Promise<WrittenMappings> {
  const { organizationId, wishes, asker, forms } = request;
  await assertIsOwner(trx, organizationId, asker);
  const { connectionId } = await getMappedAccount(trx, organizationId);
  await lockConnection(trx, connectionId);
  // Once more under the lock: a switch of the account may have come first.
  const { zoomAccountId } = await getMappedAccount(trx, organizationId);
  const mappings = await weighMappings(trx, organizationId, { wishes, forms });
  if (mappings.some(({ problem }) => problem !== null)) return { state: 'refused', mappings };
  const changes = mappings.filter(({ effect }) => effect !== 'unchanged');
  if (changes.length === 0) return { state: 'written', changed: 0, mappings };
  const actor = actorOf(asker);
  await sql`
    delete from steward.zoom_user_mappings
     where organization_id = ${organizationId} and member_id = any(${changes.map(({ memberId }) => memberId)}::uuid[])`.execute(
    trx,
  );
  const kept = changes.filter(({ effect }) => effect !== 'ended');
  await sql`
    insert into steward.zoom_user_mappings (organization_id, member_id, zoom_account_id, zoom_user_id, actor, origin, created_at)
    select ${organizationId}, m.member_id, ${zoomAccountId}, m.zoom_user_id, ${actor}, 'person', steward.now()
      from unnest(${kept.map(({ memberId }) => memberId)}::uuid[], ${kept.map(({ zoomUserId }) => zoomUserId)}::text[])
           as m (member_id, zoom_user_id)`.execute(trx);
  const count = (wanted: string): number => changes.filter(({ effect }) => effect === wanted).length;
  await insertAudit(trx, {
    organizationId,
    actor,
    action: 'mappings.written',
    ...('operator' in asker ? { reason: asker.reason } : {}),
    ...(changes.length === 1 ? { subjectId: changes[0]?.memberId as string } : {}),
    data: { zoomAccountId, new: count('new'), moved: count('moved'), ended: count('ended') },
  });
  const mapped = changes.map(({ memberId, effect, zoomUserId }) => ({
    memberId: memberId as string,
    zoomUserId: effect === 'ended' ? null : zoomUserId,
  }));
  await tellMapped(trx, organizationId, mapped);
  // Who followed from a pair of domains gives way to a person's word, and may follow again when that ends.
  const concerned = changes.map(({ memberId }) => memberId as string);
  const derived = await deriveDomainMappings(trx, { organizationId, memberIds: concerned, actor });
  await lookAtMapped(trx, { connectionId, actor, mapped: [...mapped, ...derived] });
  return { state: 'written', changed: changes.length, mappings };
}

/** Says "look" at members whose mapping changed: one by one, or – if they are many – as one run. */
export async function lookAtMapped(
  trx: Transaction<DB>,
  {
    connectionId,
    actor,
    mapped,
  }: {
    readonly connectionId: string;
    readonly actor: Actor;
    readonly mapped: readonly Pick<DerivedMapping, 'memberId'>[];
  },
): Promise<void> {
  const ids = [...new Set(mapped.map(({ memberId }) => memberId))];
  if (ids.length > toldSingly) {
    await startOrganizationRun(trx, { connectionId, cause: 'mappings_changed', actor });
    return;
  }
  for (const id of ids) await sql`select steward.changed('member', ${id}::uuid)`.execute(trx);
}
