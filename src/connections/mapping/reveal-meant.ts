import { sql, type Transaction } from 'kysely';
import type { DB } from '../../db/schema.ts';
import type { AddressForms } from '../address-forms.ts';
import type { DomainPair } from './equal-domains.ts';

/** Addresses hashed and looked for in one statement. */
const atOnce = 10_000;

/**
 * Makes addresses that members mean by a pair known in the copy of the directory: users kept under a hash of one, under
 * whichever key of the ring, are known by the address from now on. The caller holds the account's row.
 */
export async function revealMeant(
  trx: Transaction<DB>,
  {
    organizationId,
    zoomAccountId,
    pair,
    forms,
  }: {
    readonly organizationId: string;
    readonly zoomAccountId: string;
    readonly pair: DomainPair;
    readonly forms: AddressForms;
  },
): Promise<void> {
  for (let after: string | null = null; ; ) {
    const { rows } = await sql<{ id: string; address: string }>`
      select m.id, left(m.key, -char_length(m.domain)) || case when m.domain = ${pair.domain} then ${pair.sameAs} else ${pair.domain} end as address
        from (select a.id, k.key, split_part(k.key, '@', -1) as domain
                from steward_app.members a, lateral (select steward.address_key(a.email) as key) k
               where a.organization_id = ${organizationId} and a.active and a.email_verified
                 and (${after}::uuid is null or a.id > ${after}::uuid)) m
       where m.domain in (${pair.domain}, ${pair.sameAs})
       order by m.id limit ${atOnce}`.execute(trx);
    const hashed = rows.flatMap(({ address }) =>
      forms(address)
        .slice(1)
        .map((hash) => ({ address, hash })),
    );
    if (hashed.length > 0)
      await sql`
        select steward.reveal_addresses(${zoomAccountId}, ${hashed.map(({ address }) => address)}::text[],
                                        ${hashed.map(({ hash }) => hash)}::text[])`.execute(trx);
    after = rows.at(-1)?.id ?? null;
    if (rows.length < atOnce) return;
  }
}
