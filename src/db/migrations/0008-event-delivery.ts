import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns, createTable, type TableSpec } from './table.ts';

const tables: TableSpec[] = [
  {
    name: 'steward.event_streams',
    comment: 'How far the main app has taken the events of an organization, and what it was offered on the queue.',
    columns: {
      organization_id: ['uuid primary key', 'The organization.'],
      newest: ['bigint not null', 'Position of its newest event.'],
      taken: ['bigint not null default 0', 'Everything up to this position was taken.'],
      offered: ['bigint', 'Last position of the batch that is on the queue; null: none is.'],
      offered_at: ['timestamptz', 'When it was offered last.'],
      due_at: ['timestamptz', 'When the next batch is offered, or this one again; null: everything was taken.'],
    },
    with: 'fillfactor = 70',
    indexes: ['create index event_streams_due on steward.event_streams (due_at) where due_at is not null'],
  },
  {
    name: 'steward.event_sums',
    comment:
      'Mass changes are told once an hour: one row for each organization, kind and owner that was told within it.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      type: ['text not null', 'Kind of event.'],
      owner_id: ['uuid not null', 'Owner it is told to; zeros: the organization.'],
      until: ['timestamptz not null', 'Until when whatever follows is held back, to go as one event then.'],
      told: ['integer not null', 'Events of this kind that went within the hour.'],
    },
    constraints: ['primary key (organization_id, type, owner_id)'],
    indexes: ['create index event_sums_until on steward.event_sums (until)'],
  },
];

/** column → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  position: [
    'bigint',
    'Cursor: given when it is ready to be told, in the order of commits for one organization; null until then.',
  ],
  held_until: ['timestamptz', 'A mass change that waits to be summed with its like; it goes then.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of tables) for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  for (const statement of addColumns('steward.events', added)) await sql.raw(statement).execute(db);
  const statements = [
    'drop index steward.events_undelivered',
    // Positions, not transaction ids, keep readers from passing what commits late.
    'alter table steward.events drop column xid',
    `comment on column steward.events.seq is 'Order of writing; readers go by position.'`,
    `comment on column steward.events.delivered_at is 'When the main app said that it has taken it.'`,
    'create sequence steward.event_positions',
    'create unique index events_position on steward.events (position) where position is not null',
    'create index events_fresh on steward.events (seq) where position is null and held_until is null',
    'create index events_held on steward.events (organization_id, type) where position is null and held_until is not null',
    'create index events_untaken on steward.events (position) where position is not null and delivered_at is null',
    'create index events_untaken_of on steward.events (organization_id, position) where position is not null and delivered_at is null',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added)) await sql.raw(`alter table steward.events drop column ${name}`).execute(db);
  const statements = [
    'drop sequence steward.event_positions',
    'alter table steward.events add column xid xid8 not null default pg_current_xact_id()',
    'create index events_undelivered on steward.events (seq) where delivered_at is null',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
  for (const table of [...tables].reverse()) await sql.raw(`drop table ${table.name} cascade`).execute(db);
}
