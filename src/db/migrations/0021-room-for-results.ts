import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * An interruption, a return and a disconnect write almost every result of an organization: with room for both versions on a page no
 * index is touched, and the table ends up smaller than with less room. Pages that are full already get it as they are rewritten.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table steward.member_connections set (fillfactor = 50)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table steward.member_connections set (fillfactor = 80)`.execute(db);
}
