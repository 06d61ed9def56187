import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns } from './table.ts';

/** table → column → [definition, comment] */
const added: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>> = {
  'steward.directory_staging': {
    address_hash: ['text', 'Keyed hash of the address; what is kept of whoever matches nobody.'],
  },
  'steward.directories': {
    swapped_at: [
      'timestamptz',
      'When the copy was last replaced: whoever was on the account then is in view; the addresses of others are hashes.',
    ],
    hash_key_id: ['text', 'Key of the ring with which the copy was hashed last; another active key makes a walk due.'],
  },
};

const addressComment =
  "steward.address_key of the address where a member of ours has it, else '#', the id of a key, a dot and the keyed hash of it.";
const userComment = "Zoom user id, or 'pending:' and the keyed hash of the address: pending users have no id.";

const comment = (column: string, text: string | null) =>
  sql.raw(`comment on column ${column} is ${text === null ? 'null' : `'${text.replaceAll("'", "''")}'`}`);

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [table, columns] of Object.entries(added))
    for (const statement of addColumns(table, columns)) await sql.raw(statement).execute(db);
  await comment('steward.directory_users.address_key', addressComment).execute(db);
  await comment('steward.directory_users.user_key', userComment).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const [table, columns] of Object.entries(added))
    for (const name of Object.keys(columns)) await sql.raw(`alter table ${table} drop column ${name}`).execute(db);
  await comment('steward.directory_users.address_key', 'steward.address_key of the address.').execute(db);
  await comment(
    'steward.directory_users.user_key',
    "Zoom user id, or 'pending:' and the address key: pending users have no id.",
  ).execute(db);
}
