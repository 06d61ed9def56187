import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns } from './table.ts';

/** column of steward.call_breakers → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  zoom_user_id: ['text', 'Host of the first refusal for want of permission in the row; null: none was.'],
  several_hosts: ['boolean not null default false', 'Whether another host was refused so as well.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of addColumns('steward.call_breakers', added)) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added))
    await sql.raw(`alter table steward.call_breakers drop column ${name}`).execute(db);
}
