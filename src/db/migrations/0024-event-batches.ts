import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const batches: TableSpec = {
  name: 'steward.event_batches',
  comment:
    'Changes of locations by a mass change, some owners a row and all of an owner in one, until their events get positions: then those are written, once. The arrays run in step.',
  columns: {
    organization_id: ['uuid not null', 'The organization. What it wrote later waits until these have their positions.'],
    seq: ['bigint not null', 'Place in the order of writing, among those of steward.events.'],
    change: ['text not null', 'As in untold_location_changes.'],
    run_id: ['uuid', 'Run that changed all of them; null: several, see run_ids.'],
    cause: ['text', 'Why all of them were removed; null: see causes.'],
    event_type_ids: ['uuid[] not null', 'As in untold_location_changes.'],
    owner_member_ids: ['uuid[] not null', 'As in untold_location_changes.'],
    locations: ['integer[] not null', 'As in untold_location_changes.'],
    needs_location: ['boolean[] not null', 'As in untold_location_changes.'],
    run_ids: ['uuid[]', 'Which run changed each.'],
    causes: ['text[]', 'Why each was removed.'],
    created_at: ['timestamptz not null', 'When it was told.'],
  },
  constraints: ['primary key (organization_id, seq)'],
};

const hours: TableSpec = {
  name: 'steward.event_hours',
  comment: 'As event_sums, for owners that a mass change told at once: each is in one of the two, or in none.',
  columns: {
    organization_id: ['uuid not null', 'The organization.'],
    type: ['text not null', 'Kind of event: one of which a single one goes within an hour.'],
    bucket: ['integer not null', 'steward.owner_bucket of the owners.'],
    until: ['timestamptz not null', 'Until when whatever follows is held back, to go as one event then.'],
    owners: ['uuid[] not null', 'Owners it was told to; zeros: those without owner.'],
  },
  indexes: [
    'create index event_hours_bucket on steward.event_hours (organization_id, type, bucket)',
    'create index event_hours_until on steward.event_hours (until)',
  ],
};

const lists = ['event_type_ids', 'owner_member_ids', 'locations', 'needs_location', 'run_ids', 'causes'];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of [batches, hours])
    for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  // Read once and gone within seconds, or ids that do not shrink: to compress them would cost more than to write them.
  for (const column of lists)
    await sql.raw(`alter table ${batches.name} alter column ${column} set storage external`).execute(db);
  await sql.raw(`alter table ${hours.name} alter column owners set storage external`).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  // The next run of the organization tells it, as what a superseded one left.
  await sql`
    insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
    select b.organization_id, c.run_id, b.change, array_agg(c.event_type_id), array_agg(c.owner_id), array_agg(c.locations), array_agg(c.cause), array_agg(c.needs_location)
      from steward.event_batches b
     cross join lateral (
       select u.event_type_id, u.owner_id, u.locations, u.needs_location, coalesce(b.run_id, u.run_id) as run_id, coalesce(b.cause, u.cause) as cause
         from unnest(b.event_type_ids, b.owner_member_ids, b.locations, b.needs_location, b.run_ids, b.causes)
                as u (event_type_id, owner_id, locations, needs_location, run_id, cause)) c
     group by b.organization_id, b.seq, c.run_id, b.change order by b.seq`.execute(db);
  await sql`
    insert into steward.event_sums (organization_id, type, owner_id, until, told)
    select h.organization_id, h.type, o.owner_id, h.until, 1 from steward.event_hours h cross join lateral unnest(h.owners) as o (owner_id)
    on conflict do nothing`.execute(db);
  for (const table of [batches, hours]) await sql.raw(`drop table ${table.name}`).execute(db);
}
