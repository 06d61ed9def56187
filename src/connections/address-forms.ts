import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Vault } from '../grants/vault.ts';

/**
 * How an address may be written in the copy of the directory: as its key where a member of ours has it, else as a keyed
 * hash. Given steward.address_key of an address: everything to look for.
 */
export type AddressForms = (addressKey: string) => readonly string[];

/** With the key ring, the hashes under each of its keys; without it only the key itself. */
export const addressForms =
  (vault: Pick<Vault, 'pseudonyms'> | null): AddressForms =>
  (addressKey) => [addressKey, ...(vault?.pseudonyms(addressKey) ?? [])];

/** Keys of addresses, as the one SQL function computes them, with their hash under the active key; null for none. */
export async function hashAddresses(
  db: Database,
  vault: Vault,
  addresses: readonly (string | null)[],
): Promise<{ readonly key: string | null; readonly hash: string | null }[]> {
  const { rows } = await sql<{ key: string | null }>`
    select steward.address_key(a.address) as key
      from unnest(${[...addresses]}::text[]) with ordinality as a (address, place) order by place`.execute(db);
  return rows.map(({ key }) => ({ key, hash: key === null ? null : (vault.pseudonyms(key)[0] as string) }));
}
