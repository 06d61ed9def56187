import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** Lists of ids do not shrink; trying to compress them was a tenth of what a cascade spends on removing locations. */
const lists = ['event_type_ids', 'owner_member_ids'];

const setStorage = async (db: Kysely<unknown>, storage: 'external' | 'extended'): Promise<void> => {
  for (const column of lists)
    await sql
      .raw(`alter table steward.untold_location_changes alter column ${column} set storage ${storage}`)
      .execute(db);
};

export const up = (db: Kysely<unknown>): Promise<void> => setStorage(db, 'external');

export const down = (db: Kysely<unknown>): Promise<void> => setStorage(db, 'extended');
