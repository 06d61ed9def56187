import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const index = `create index grants_personal_refreshed on steward.grants (refreshed_at) where client_kind = 'personal' and state = 'living'`;

/** Which personal grants nobody used for 30 days is asked every five minutes: not by reading all of them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(index).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index steward.grants_personal_refreshed`.execute(db);
}
