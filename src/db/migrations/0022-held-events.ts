import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const waiting = 'where position is null and held_until is not null';

const index = async (db: Kysely<unknown>, key: string): Promise<void> => {
  await sql.raw('drop index steward.events_held').execute(db);
  await sql.raw(`create index events_held on steward.events (${key}) ${waiting}`).execute(db);
};

/** What is held back is looked for by owner when an owner's hour is over: after a mass change an organization has one hour each. */
export const up = (db: Kysely<unknown>): Promise<void> =>
  index(db, `organization_id, type, coalesce(subject_id, '00000000-0000-0000-0000-000000000000')`);

export const down = (db: Kysely<unknown>): Promise<void> => index(db, 'organization_id, type');
