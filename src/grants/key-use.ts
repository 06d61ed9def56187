import { type Kysely, sql } from 'kysely';
import type { DB } from '../db/schema.ts';

/** How many rows a key seals, by table. */
export type KeyUse = {
  readonly keyId: string;
  readonly grants: number;
  /** consents that nobody was named for yet */
  readonly candidates: number;
  /** verifiers of consents that are under way */
  readonly attempts: number;
};

/** Every key that seals something, in the order of ids. */
export async function readKeyUse(db: Kysely<DB>): Promise<KeyUse[]> {
  const { rows } = await sql<KeyUse>`
    select key_id as "keyId", count(*) filter (where place = 'grants')::int as grants,
           count(*) filter (where place = 'candidates')::int as candidates,
           count(*) filter (where place = 'attempts')::int as attempts
      from (select 'grants' as place, key_id from steward.grants where key_id is not null
            union all
            select 'candidates', split_part(sealed_access, '.', 2) from steward.candidates where sealed_access is not null
            union all
            select 'candidates', split_part(sealed_access, '.', 2) from steward.personal_consents where sealed_access is not null
            union all
            select 'attempts', split_part(sealed_verifier, '.', 2) from steward.connect_attempts where sealed_verifier is not null
            union all
            select 'attempts', split_part(sealed_verifier, '.', 2) from steward.personal_consents where sealed_verifier is not null) used
     group by key_id order by key_id`.execute(db);
  return rows;
}

/** Rows of a key in all tables. */
export const rowsOf = ({ grants, candidates, attempts }: KeyUse): number => grants + candidates + attempts;
