import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns } from './table.ts';

/** table → column → [definition, comment] */
const added: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>> = {
  'steward.client_states': {
    next_slot_at: [
      'timestamptz',
      'When the next refresh with this client id may go out, by the real clock of the database: every process takes its turn here.',
    ],
  },
  'steward.grants': {
    age_told_at: [
      'timestamptz',
      'When owners were told that the consent nears the age at which it may end; null: not since the consent.',
    ],
  },
};

const index = 'create index grants_consented on steward.grants (consented_at)';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [table, columns] of Object.entries(added))
    for (const statement of addColumns(table, columns)) await sql.raw(statement).execute(db);
  await sql.raw(index).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const [table, columns] of Object.entries(added))
    for (const name of Object.keys(columns)) await sql.raw(`alter table ${table} drop column ${name}`).execute(db);
}
