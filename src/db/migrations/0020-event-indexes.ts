import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** Events are written, and written anew with their position, once each for every owner of a mass change: every index counts twice. */
const run = async (db: Kysely<unknown>, statements: readonly string[]): Promise<void> => {
  for (const statement of statements) await sql.raw(statement).execute(db);
};

export const up = (db: Kysely<unknown>): Promise<void> =>
  run(db, [
    // Reads of one organization go by position. What it has not taken begins after event_streams.taken.
    'create index events_of on steward.events (organization_id, position) where position is not null',
    // Whether a silence was told already.
    `create index events_unverified on steward.events (organization_id, created_at) where type = 'connection.unverified'`,
    'drop index steward.events_organization',
    'drop index steward.events_untaken_of',
  ]);

export const down = (db: Kysely<unknown>): Promise<void> =>
  run(db, [
    'create index events_untaken_of on steward.events (organization_id, position) where position is not null and delivered_at is null',
    'create index events_organization on steward.events (organization_id, seq)',
    'drop index steward.events_unverified',
    'drop index steward.events_of',
  ]);
