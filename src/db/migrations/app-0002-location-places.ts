import type { Kysely } from 'kysely';
import { sql } from 'kysely';

const comment = (text: string) => sql.raw(`comment on column steward_app.locations.position is '${text}'`);

/** A location that the worker puts first has a place below the lowest. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await comment('Place in the ordered list; gaps and negative numbers are allowed.').execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await comment('Place in the ordered list; gaps are allowed.').execute(db);
}
