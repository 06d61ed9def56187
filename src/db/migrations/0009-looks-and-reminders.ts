import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns } from './table.ts';

/** column of steward.org_connections → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  unanswered: [
    'smallint not null default 0',
    'Looks in a row to which Zoom gave no clear answer: the first few are repeated soon.',
  ],
  reminded_days: ['smallint', 'Days before the deadline of the last reminder that is over; null: none is.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of addColumns('steward.org_connections', added)) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added))
    await sql.raw(`alter table steward.org_connections drop column ${name}`).execute(db);
}
