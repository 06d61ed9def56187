import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** table, column → [definition, comment] */
const added: readonly (readonly [table: string, column: string, definition: string, comment: string])[] = [
  [
    'zoom_starts',
    'alone',
    'boolean not null default false',
    'added: nothing else was in the list; only then an undo may leave it empty.',
  ],
  [
    'one_time_runs',
    'kept',
    'integer',
    'Of one that undoes, at its end: additions that somebody edited or removed, or that are all there is; they stay as they are.',
  ],
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [table, column, definition, comment] of added) {
    await sql.raw(`alter table steward.${table} add column ${column} ${definition}`).execute(db);
    await sql.raw(`comment on column steward.${table}.${column} is '${comment}'`).execute(db);
  }
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const [table, column] of added) await sql.raw(`alter table steward.${table} drop column ${column}`).execute(db);
}
