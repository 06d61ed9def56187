import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const tables: TableSpec[] = [
  {
    name: 'steward.zoom_starts',
    comment:
      'Event types whose start with Zoom is settled, or waits for a host who can host: while the setting for new event types is on, and where a one-time run came by. What is settled is never touched again.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      event_type_id: ['uuid not null', 'The event type.'],
      state: [
        `text not null check (state in ('waiting', 'had', 'left', 'added', 'undone'))`,
        'waiting: nobody could host yet; had: it had Zoom, or a copy of it; left: edited while it waited; added: Zoom was put first; undone: that was taken back with its run.',
      ],
      print: [
        'text',
        'waiting: fingerprint of the list when it was first seen; added: of the location we made, which an undo takes only if it is still that. Else null.',
      ],
      one_time_run_id: ['uuid', 'One-time run that added it; null: the automatic rule, or not added.'],
      at: ['timestamptz not null', 'When.'],
    },
    constraints: ['primary key (organization_id, event_type_id)'],
    indexes: [
      `create index zoom_starts_run on steward.zoom_starts (one_time_run_id, event_type_id) where state = 'added'`,
    ],
  },
  {
    name: 'steward.one_time_runs',
    comment:
      'Orders to put Zoom into the event types that were there before the setting for new ones, or to take that back. Carried out by the runs of the organization, whichever comes: a run that is superseded loses nothing.',
    columns: {
      id: ['uuid primary key', 'Id; names its additions.'],
      organization_id: ['uuid not null', 'The organization.'],
      undoes: ['uuid', 'One-time run whose additions go; null: this one adds.'],
      state: [
        `text not null check (state in ('open', 'done', 'dropped'))`,
        'dropped: the setting was turned off, the organization disconnected or another order came before its end.',
      ],
      event_types: ['integer not null default 0', 'Event types given Zoom, or taken back.'],
      actor: ['text not null', 'Who ordered it: member:ID, operator:NAME.'],
      generation: ['bigint not null', 'Generation of the preview that was confirmed.'],
      created_at: ['timestamptz not null', 'When.'],
      ended_at: ['timestamptz', 'When it ended.'],
    },
    indexes: [
      `create unique index one_time_runs_open on steward.one_time_runs (organization_id) where state = 'open'`,
      'create index one_time_runs_organization on steward.one_time_runs (organization_id, created_at desc)',
    ],
  },
];

const checks = {
  runs: ['phase', `'facts', 'members', 'locations', 'additions', 'bookings', 'finish', 'done'`],
  untold_location_changes: ['change', `'removed', 'restored', 'added'`],
} as const;

const checksBefore = {
  runs: ['phase', `'facts', 'members', 'locations', 'bookings', 'finish', 'done'`],
  untold_location_changes: ['change', `'removed', 'restored'`],
} as const;

async function setChecks(db: Kysely<unknown>, all: Readonly<Record<string, readonly [string, string]>>): Promise<void> {
  for (const [table, [column, values]] of Object.entries(all)) {
    await sql.raw(`alter table steward.${table} drop constraint ${table}_${column}_check`).execute(db);
    await sql
      .raw(`alter table steward.${table} add constraint ${table}_${column}_check check (${column} in (${values}))`)
      .execute(db);
  }
}

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of tables) for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  await sql`alter table steward.organization_settings add column new_event_types_since timestamptz`.execute(db);
  await sql`
    comment on column steward.organization_settings.new_event_types_since is
      'Event types created after this are new, by the database''s own clock: when the setting was turned on, or the organization connected since. Null while it is off.'`.execute(
    db,
  );
  await setChecks(db, checks);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`update steward.runs set phase = 'bookings', cursor = null where phase = 'additions'`.execute(db);
  await sql`delete from steward.untold_location_changes where change = 'added'`.execute(db);
  await setChecks(db, checksBefore);
  await sql`alter table steward.organization_settings drop column new_event_types_since`.execute(db);
  for (const table of [...tables].reverse()) await sql.raw(`drop table ${table.name} cascade`).execute(db);
}
