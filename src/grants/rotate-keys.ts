import { type Kysely, sql } from 'kysely';
import type { DB } from '../db/schema.ts';
import { readKeyUse, rowsOf } from './key-use.ts';
import type { Vault, VaultPlace } from './vault.ts';

export type KeyRotation = {
  /** sealed anew with the active key */
  readonly resealed: number;
  /** under other keys still, although they were tried: they do not open, or were being exchanged */
  readonly left: number;
  readonly stopped: boolean;
};

export type RotateOptions = {
  /** client id of the admin app: whose candidates and consents these are */
  readonly clientId: string;
  /** rows of a transaction */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: { readonly resealed: number; readonly left: number }) => void;
};

type Column = VaultPlace['column'];
type Row = { readonly id: string; readonly client: string | null; readonly version: number } & Readonly<
  Partial<Record<Column, string | null>>
>;

/** Where sealed texts are, and which rows of a table may be sealed anew while everybody works. */
const places = [
  {
    table: 'grants',
    columns: ['sealed_access', 'sealed_refresh'],
    facts: sql`client_id as client, version`,
    keyOf: sql`key_id`,
    free: sql`true`,
    also: (keyId: string) => sql`, key_id = ${keyId}`,
  },
  {
    table: 'candidates',
    columns: ['sealed_access', 'sealed_refresh'],
    facts: sql`null as client, 1 as version`,
    keyOf: sql`split_part(sealed_access, '.', 2)`,
    // Whoever exchanges its refresh token knows it by its sealed text, and brings a pair under the active key.
    free: sql`not coalesce(token_facts ? 'sent', false)`,
    also: () => sql``,
  },
  {
    table: 'connect_attempts',
    columns: ['sealed_verifier'],
    facts: sql`null as client, 0 as version`,
    keyOf: sql`split_part(sealed_verifier, '.', 2)`,
    free: sql`true`,
    also: () => sql``,
  },
  {
    table: 'personal_consents',
    columns: ['sealed_access', 'sealed_refresh'],
    facts: sql`client_id as client, 1 as version`,
    keyOf: sql`split_part(sealed_access, '.', 2)`,
    free: sql`true`,
    also: () => sql``,
  },
  {
    table: 'personal_consents',
    columns: ['sealed_verifier'],
    facts: sql`client_id as client, 0 as version`,
    keyOf: sql`split_part(sealed_verifier, '.', 2)`,
    free: sql`true`,
    also: () => sql``,
  },
] as const;

const defaultBatch = 200;
const firstId = '00000000-0000-0000-0000-000000000000';

/**
 * Seals with the active key whatever another key seals, while everybody works: a row is written only if its sealed texts
 * are still those that were opened, and no version moves. May end at any row and begin again.
 */
export async function rotateKeys(db: Kysely<DB>, vault: Vault, options: RotateOptions): Promise<KeyRotation> {
  const { clientId, batch = defaultBatch, signal, onProgress } = options;
  const count = async (): Promise<number> =>
    (await readKeyUse(db))
      .filter(({ keyId }) => keyId !== vault.activeKeyId)
      .reduce((sum, use) => sum + rowsOf(use), 0);

  /** The row's texts under the active key; null if one of them does not open. */
  function reseal(place: (typeof places)[number], row: Row): Map<Column, string> | null {
    const fresh = new Map<Column, string>();
    for (const column of place.columns) {
      const sealed = row[column] ?? null;
      if (sealed === null) continue;
      const at = { table: place.table, column, id: row.id, clientId: row.client ?? clientId, version: row.version };
      const opened = vault.open(sealed, at);
      if (!opened.ok) return null;
      fresh.set(column, vault.seal(opened.secret, at));
    }
    return fresh;
  }

  async function resealBatch(
    place: (typeof places)[number],
    after: string,
  ): Promise<{ last: string | null; done: number }> {
    const table = sql.table(`steward.${place.table}`);
    const columns = place.columns.map((column) => sql.ref(column));
    return await db.transaction().execute(async (trx) => {
      const { rows } = await sql<Row>`
        select id, ${place.facts}, ${sql.join(columns)} from ${table}
         where ${place.keyOf} <> ${vault.activeKeyId} and ${place.free} and id > ${after} order by id limit ${batch}`.execute(
        trx,
      );
      let done = 0;
      for (const row of rows) {
        const fresh = reseal(place, row);
        if (!fresh) continue;
        const set = [...fresh].map(([column, text]) => sql`${sql.ref(column)} = ${text}`);
        const same = place.columns.map((column) => sql`${sql.ref(column)} is not distinct from ${row[column] ?? null}`);
        const { numAffectedRows } = await sql`
          update ${table} set ${sql.join(set)}${place.also(vault.activeKeyId)}
           where id = ${row.id} and ${place.free} and ${sql.join(same, sql` and `)}`.execute(trx);
        done += Number(numAffectedRows ?? 0n);
      }
      return { last: rows.length === batch ? (rows.at(-1)?.id ?? null) : null, done };
    });
  }

  let resealed = 0;
  for (const place of places) {
    for (let after: string | null = firstId; after !== null; ) {
      if (signal?.aborted) return { resealed, left: await count(), stopped: true };
      const { last, done }: { last: string | null; done: number } = await resealBatch(place, after);
      resealed += done;
      after = last;
      if (done > 0) onProgress?.({ resealed, left: await count() });
    }
  }
  return { resealed, left: await count(), stopped: false };
}
