import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const pages: TableSpec = {
  name: 'steward.directory_staging',
  comment: 'Pages read by a walk under way, users side by side (steward.staged_users); swapped in when it is complete.',
  columns: {
    walk_id: ['uuid not null', 'The walk.'],
    page: ['bigint not null generated always as identity', 'Grows: of two pages with the same user the later counts.'],
    status: ['text not null', 'Status at Zoom of its users.'],
    zoom_user_ids: ['text[] not null', 'Zoom user ids; null while pending.'],
    address_keys: ['text[] not null', 'steward.address_key of their addresses; null: none.'],
    address_hashes: ['text[] not null', 'Keyed hashes of their addresses; what is kept of whoever matches nobody.'],
    user_types: ['smallint[] not null', '1 basic, 2 licensed, 4 unassigned, 99 none.'],
  },
  constraints: ['primary key (walk_id, page)'],
};

const rows: TableSpec = {
  name: 'steward.directory_staging',
  comment: 'Users seen by a walk under way; swapped in when it is complete.',
  columns: {
    walk_id: ['uuid not null', 'The walk.'],
    user_key: ['text not null', 'As in directory_users.'],
    zoom_user_id: ['text', 'As in directory_users.'],
    address_key: ['text not null', 'As in directory_users.'],
    status: ['text not null', 'As in directory_users.'],
    user_type: ['smallint not null', 'As in directory_users.'],
    address_hash: ['text', 'Keyed hash of the address; what is kept of whoever matches nobody.'],
  },
  constraints: ['primary key (walk_id, user_key)'],
};

/** Walks under way begin anew: what they staged goes with the table. */
async function replaceBy(db: Kysely<unknown>, table: TableSpec): Promise<void> {
  await sql`
    update steward.directories
       set walk_id = null, walk_status = null, walk_page_token = null, walk_started_at = null, walk_lease_until = null
     where walk_id is not null`.execute(db);
  await sql.raw(`drop table ${table.name}`).execute(db);
  for (const statement of createTable(table)) await sql.raw(statement).execute(db);
}

export async function up(db: Kysely<unknown>): Promise<void> {
  await replaceBy(db, pages);
  // A page is read once and gone within the hour: to compress it would cost more than to write it.
  for (const column of ['zoom_user_ids', 'address_keys', 'address_hashes'])
    await sql.raw(`alter table ${pages.name} alter column ${column} set storage external`).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await replaceBy(db, rows);
}
