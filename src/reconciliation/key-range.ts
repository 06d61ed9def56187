import { type RawBuilder, sql } from 'kysely';

/** A range of keys: after the first, up to the second; null means without bound. */
export type KeyRange = { readonly after: string | null; readonly upTo: string | null };

/** Before every key that is made at random. */
export const firstKey = '00000000-0000-0000-0000-000000000000';
export const lastKey = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Whether a uuid column lies in the range; both bounds are always there, so that an index range is. */
export function inRange(column: RawBuilder<unknown>, { after, upTo }: KeyRange): RawBuilder<boolean> {
  return sql<boolean>`(${column} > ${after ?? firstKey}::uuid and ${column} <= ${upTo ?? lastKey}::uuid)`;
}
