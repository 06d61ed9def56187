import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** column of steward.org_connections → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  unanswered: [
    'smallint not null default 0',
    'Looks in a row to which Zoom gave no clear answer: the first few are repeated soon.',
  ],
  reminded_days: ['smallint', 'Days before the deadline of the last reminder that is over; null: none is.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [name, [definition, comment]] of Object.entries(added)) {
    await sql.raw(`alter table steward.org_connections add column ${name} ${definition}`).execute(db);
    await sql.raw(`comment on column steward.org_connections.${name} is '${comment}'`).execute(db);
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added))
    await sql.raw(`alter table steward.org_connections drop column ${name}`).execute(db);
}
