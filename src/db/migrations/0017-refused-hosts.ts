import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** column of steward.call_breakers → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  zoom_user_id: ['text', 'Host of the first refusal for want of permission in the row; null: none was.'],
  several_hosts: ['boolean not null default false', 'Whether another host was refused so as well.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [name, [definition, comment]] of Object.entries(added)) {
    await sql.raw(`alter table steward.call_breakers add column ${name} ${definition}`).execute(db);
    await sql.raw(`comment on column steward.call_breakers.${name} is '${comment}'`).execute(db);
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added))
    await sql.raw(`alter table steward.call_breakers drop column ${name}`).execute(db);
}
