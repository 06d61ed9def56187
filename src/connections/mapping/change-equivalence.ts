import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../../db/audit-repository.ts';
import type { Database } from '../../db/database.ts';
import {
  countDerived,
  type DerivedMapping,
  deriveDomainMappings,
  tellMapped,
} from '../../db/derived-mapping-repository.ts';
import type { DB } from '../../db/schema.ts';
import { StewardError } from '../../errors.ts';
import type { AddressForms } from '../address-forms.ts';
import { type Asker, actorOf, assertIsOwner, lockConnection } from '../authority.ts';
import { assertConfirmed, type Confirmation } from '../confirmed-loss.ts';
import { assertKnown, type DomainPair, readPair } from './equal-domains.ts';
import { revealMeant } from './reveal-meant.ts';
import { getMappedAccount } from './weigh-mappings.ts';
import { lookAtMapped } from './write-mappings.ts';

const pairsAtMost = 20;
const examplesShown = 100;

export type EquivalenceChange = {
  readonly organizationId: string;
  readonly change: 'add' | 'remove';
  /** as people write domains; which of the two comes first does not matter */
  readonly domain: string;
  readonly sameAs: string;
  readonly forms: AddressForms;
};

/** What a change comes to. */
export type EquivalenceSummary = DomainPair & {
  /** of the connection: what a confirmation names */
  readonly generation: number;
  /** whether the pair was not there before, or was */
  readonly changed: boolean;
  readonly new: number;
  readonly moved: number;
  readonly ended: number;
  /** active members at the two domains who have no Zoom user after it */
  readonly unmatched: number;
  /** whether it takes a Zoom user from somebody */
  readonly needsConfirmation: boolean;
  /** the first hundred who are new, moved or ended */
  readonly examples: readonly DerivedMapping[];
};

type Act = {
  readonly actor: Actor;
  readonly reason?: string;
  /** null: a preview, which needs none */
  readonly confirm: Confirmation | null | undefined;
};

/** Ends a transaction whose outcome was only to be seen. */
class TakenBack extends Error {
  readonly summary: EquivalenceSummary;
  constructor(summary: EquivalenceSummary) {
    super('a preview is taken back');
    this.summary = summary;
  }
}

/** What the change would come to: it is made and taken back, so that a preview and what it shows cannot differ. */
export async function previewEquivalence(db: Database, request: EquivalenceChange): Promise<EquivalenceSummary> {
  try {
    return await db.transaction().execute(async (trx) => {
      throw new TakenBack(await change(trx, request, { actor: 'schedule', confirm: null }));
    });
  } catch (error) {
    if (error instanceof TakenBack) return error.summary;
    throw error;
  }
}

/**
 * Says, or no longer says, that two domains mean the same people (docs/directory.md). An owner may, or an operator with a
 * reason. What follows is derived in the same transaction; members are told and looked at. What takes a Zoom user from
 * somebody needs a confirmation. The same again changes nothing.
 */
export async function changeEquivalence(
  trx: Transaction<DB>,
  { asker, confirm, ...request }: EquivalenceChange & { readonly asker: Asker; readonly confirm?: Confirmation },
): Promise<EquivalenceSummary> {
  await assertIsOwner(trx, request.organizationId, asker);
  const why = 'operator' in asker ? { reason: asker.reason } : {};
  return change(trx, request, { actor: actorOf(asker), confirm, ...why });
}

async function change(trx: Transaction<DB>, request: EquivalenceChange, act: Act): Promise<EquivalenceSummary> {
  const { organizationId } = request;
  const pair = await readPair(trx, request);
  const before = await getMappedAccount(trx, organizationId);
  // In the order of a walk's swap: the account's row, then the connection's.
  await sql`select from steward.directories where zoom_account_id = ${before.zoomAccountId} for update`.execute(trx);
  const { generation } = await lockConnection(trx, before.connectionId);
  const { connectionId, zoomAccountId } = await getMappedAccount(trx, organizationId);
  if (zoomAccountId !== before.zoomAccountId)
    throw new StewardError('connection_moved', 'The Zoom account changed meanwhile; look again.', {
      context: { organizationId },
    });
  const said = { ...request, pair, zoomAccountId };
  const done = request.change === 'add' ? await add(trx, said, act) : await remove(trx, said, act);
  const counts = countDerived(done.changes);
  const needsConfirmation = counts.moved + counts.ended > 0;
  if (needsConfirmation && act.confirm !== null)
    await assertConfirmed(trx, { organizationId, generation, confirm: act.confirm });
  if (done.changed)
    await insertAudit(trx, {
      organizationId,
      actor: act.actor,
      action: request.change === 'add' ? 'equivalence.added' : 'equivalence.removed',
      ...(act.reason === undefined ? {} : { reason: act.reason }),
      data: { zoomAccountId, ...pair, ...counts },
    });
  await lookAtMapped(trx, { connectionId, actor: act.actor, mapped: done.changes });
  return {
    ...pair,
    generation,
    changed: done.changed,
    ...counts,
    unmatched: await countUnmatched(trx, organizationId, zoomAccountId, pair),
    needsConfirmation,
    examples: done.changes.slice(0, examplesShown),
  };
}

type Said = EquivalenceChange & { readonly pair: DomainPair; readonly zoomAccountId: string };
type Done = { readonly changed: boolean; readonly changes: readonly DerivedMapping[] };

async function add(trx: Transaction<DB>, said: Said, { actor }: Act): Promise<Done> {
  const { organizationId, pair, forms } = said;
  if (forms('').length < 2)
    throw new StewardError(
      'keys_missing',
      'Zoom users who match nobody are found by a keyed hash of their address: expected STEWARD_KEYS, as the worker has it; set it and try again.',
    );
  const inserted = await sql`
    insert into steward.domain_equivalences (organization_id, domain, same_as, actor, created_at)
    values (${organizationId}, ${pair.domain}, ${pair.sameAs}, ${actor}, steward.now())
    on conflict do nothing`.execute(trx);
  const { rows } = await sql<{ pairs: number }>`
    select count(*) as pairs from steward.domain_equivalences where organization_id = ${organizationId}`.execute(trx);
  if ((rows[0]?.pairs ?? 0) > pairsAtMost)
    throw new StewardError(
      'equivalences_full',
      `Expected at most ${pairsAtMost} pairs of domains, got one more; remove one, or map people singly.`,
      { context: { organizationId } },
    );
  await revealMeant(trx, said);
  await assertKnown(trx, said);
  const changes = await deriveDomainMappings(trx, { organizationId, memberIds: null, actor });
  return { changed: inserted.numAffectedRows === 1n, changes };
}

/** Ends what the pair made; whom it kept ambiguous may follow from another pair now. */
async function remove(trx: Transaction<DB>, { organizationId, pair }: Said, { actor }: Act): Promise<Done> {
  const { rows: ended } = await sql<{ memberId: string; was: string }>`
    delete from steward.zoom_user_mappings
     where organization_id = ${organizationId} and domain = ${pair.domain} and same_as = ${pair.sameAs}
    returning member_id as "memberId", zoom_user_id as was`.execute(trx);
  const { numAffectedRows } = await sql`
    delete from steward.domain_equivalences
     where organization_id = ${organizationId} and domain = ${pair.domain} and same_as = ${pair.sameAs}`.execute(trx);
  const derived = await deriveDomainMappings(trx, { organizationId, memberIds: null, actor });
  const again = new Map(derived.map((one) => [one.memberId, one]));
  const gone = ended.filter(({ memberId }) => !again.has(memberId)).map((one) => ({ ...one, zoomUserId: null }));
  await tellMapped(trx, organizationId, gone);
  const wasOf = new Map(ended.map(({ memberId, was }) => [memberId, was]));
  const changes = [...gone, ...derived.map((one) => ({ ...one, was: one.was ?? wasOf.get(one.memberId) ?? null }))];
  return { changed: numAffectedRows === 1n, changes: changes.filter(({ was, zoomUserId }) => was !== zoomUserId) };
}

async function countUnmatched(
  trx: Transaction<DB>,
  organizationId: string,
  zoomAccountId: string,
  pair: DomainPair,
): Promise<number> {
  // The last statement of its transaction; sets whose sizes the planner can only guess are hashed.
  await sql`set local enable_nestloop = off`.execute(trx);
  const { rows } = await sql<{ n: number }>`
    select count(*) as n
      from steward_app.members a
      left join steward.zoom_user_mappings z on z.organization_id = a.organization_id and z.member_id = a.id and z.zoom_account_id = ${zoomAccountId}
      left join steward.member_facts f on f.organization_id = a.organization_id and f.member_id = a.id and f.match = 'email'
      left join (select distinct u.address_key from steward.directory_users u where u.zoom_account_id = ${zoomAccountId}) u
        on u.address_key = steward.address_key(a.email)
     where a.organization_id = ${organizationId} and a.active and a.email_verified
       and split_part(steward.address_key(a.email), '@', -1) in (${pair.domain}, ${pair.sameAs})
       and z.member_id is null and f.member_id is null and u.address_key is null`.execute(trx);
  return rows[0]?.n ?? 0;
}
