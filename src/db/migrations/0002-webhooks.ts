import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns, createTable, type TableSpec } from './table.ts';

const tables: TableSpec[] = [
  {
    name: 'steward.webhook_receipts',
    comment: 'Webhooks that were taken in the last 24 hours, so that none is taken twice.',
    columns: {
      id: [
        'bytea primary key',
        'Hash of client id and contents: the same however often, and however signed, it comes.',
      ],
      received_at: ['timestamptz not null', 'When it came first.'],
    },
    indexes: ['create index webhook_receipts_age on steward.webhook_receipts (received_at)'],
  },
  {
    name: 'steward.webhook_sources',
    comment: 'When each of our Zoom apps was last heard, so that silence is noticed; no row: never.',
    columns: {
      client_id: ['text primary key', 'The app.'],
      heard_at: ['timestamptz', 'Last webhook with a good signature, to the minute.'],
      validated_at: ['timestamptz', 'Last endpoint.url_validation that was answered, to the minute.'],
      silent_told_at: ['timestamptz', 'When operators were told of its silence; null once it is heard again.'],
    },
  },
  {
    name: 'steward.hints',
    comment: 'What webhooks lately asked us to look at: at most one look a subject and minute.',
    columns: {
      subject: ['text primary key', 'connection:ID, candidate:ID, grant:ID, or user:ACCOUNT/ZOOM USER.'],
      zoom_account_id: ['text not null', 'Zoom account the subject belongs to.'],
      look_at: ['timestamptz not null', 'When the last look was owed, or will be: in the future it is yet to come.'],
      asked_at: [
        'timestamptz',
        'Users only: when the look whose answer was written last asked Zoom; an older answer writes nothing.',
      ],
    },
    indexes: [
      'create index hints_account on steward.hints (zoom_account_id, look_at)',
      'create index hints_age on steward.hints (look_at)',
    ],
  },
];

/** table → column → [definition, comment] */
const added: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>> = {
  'steward.directories': {
    wanted_at: ['timestamptz', 'A walk that began before this does not answer what webhooks hinted at.'],
  },
  'steward.org_connections': {
    deauthorized_at: [
      'timestamptz',
      'First app_deauthorized since the last look that passed: a dead grant interrupts 15 minutes after it.',
    ],
  },
  'steward.grants': {
    revoked_at: [
      'timestamptz',
      'When we revoked it last, kept when its user consents again: the echo of that, app_deauthorized, comes about then.',
    ],
  },
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of tables) for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  for (const [table, columns] of Object.entries(added))
    for (const statement of addColumns(table, columns)) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const [table, columns] of Object.entries(added))
    for (const name of Object.keys(columns)) await sql.raw(`alter table ${table} drop column ${name}`).execute(db);
  for (const table of [...tables].reverse()) await sql.raw(`drop table ${table.name} cascade`).execute(db);
}
