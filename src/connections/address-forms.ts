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

/** Printable ASCII: of these steward.address_key takes the spaces around them and folds A–Z, and so does this. */
const plain = /^[ -~]*$/;
const keyOfPlain = (address: string): string | null => address.trim().toLowerCase() || null;

/**
 * Keys of addresses, as steward.address_key computes them, with their hash under the active key; null for none. Nearly every
 * address is plain, and a page of plain ones asks the database for nothing.
 */
export async function hashAddresses(
  db: Database,
  vault: Vault,
  addresses: readonly (string | null)[],
): Promise<{ readonly key: string | null; readonly hash: string | null }[]> {
  const keys = addresses.map((address) => (address !== null && plain.test(address) ? keyOfPlain(address) : null));
  const others = addresses.flatMap((address, at) => (address === null || plain.test(address) ? [] : [{ address, at }]));
  if (others.length > 0) {
    const { rows } = await sql<{ key: string | null }>`
      select steward.address_key(a.address) as key
        from unnest(${others.map(({ address }) => address)}::text[]) with ordinality as a (address, place) order by place`.execute(
      db,
    );
    for (const [n, { at }] of others.entries()) keys[at] = rows[n]?.key ?? null;
  }
  return keys.map((key) => ({ key, hash: key === null ? null : (vault.pseudonyms(key)[0] as string) }));
}
