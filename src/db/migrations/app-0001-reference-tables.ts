import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

/**
 * The main app's side of the contract, as plain tables. `dev`, `demo` and the tests install it;
 * a real main app offers the same relations, as tables or views, and never runs this.
 */
const tables: readonly TableSpec[] = [
  {
    name: 'steward_app.organizations',
    comment: 'The customers of the main app.',
    columns: {
      id: ['uuid primary key', 'Id of the organization.'],
      name: ['text not null', 'Name; must be typed to confirm a disconnect.'],
      time_zone: [`text not null default 'UTC'`, 'IANA time zone; deadlines end in its working hours.'],
      verified_domains: [
        `text[] not null default '{}'`,
        'E-mail domains the organization has proven to own, ASCII, lower case.',
      ],
      plan_includes_zoom: ['boolean not null default true', 'Whether the plan includes admin-managed Zoom.'],
      deleted_at: ['timestamptz', 'When the organization was deleted; a missing row means the same.'],
      created_at: ['timestamptz not null default now()', 'When it was created.'],
    },
  },
  {
    name: 'steward_app.groups',
    comment: 'Groups of members, for rollouts.',
    columns: {
      id: ['uuid primary key', 'Id of the group.'],
      organization_id: ['uuid not null', 'Organization that owns it.'],
      name: ['text not null', 'Name.'],
    },
  },
  {
    name: 'steward_app.members',
    comment: 'The members of organizations. A member who left has no row, or another organization_id.',
    columns: {
      id: ['uuid primary key', 'Id of the member.'],
      organization_id: ['uuid not null', 'Organization the member belongs to now.'],
      name: ['text not null', 'Display name.'],
      email: [
        'text not null',
        'E-mail address as the member entered it. Needs the index (organization_id, steward.address_key(email)) where active and email_verified; migrate makes it unless members is a view or belongs to somebody else.',
      ],
      email_verified: ['boolean not null', 'Whether the address was verified; unverified addresses are never matched.'],
      role: [`text not null check (role in ('owner', 'admin', 'user'))`, 'Role in the product.'],
      active: ['boolean not null default true', 'False once deactivated.'],
      created_at: ['timestamptz not null default now()', 'When the member was created.'],
      updated_at: ['timestamptz not null default now()', 'When the main app last changed the row.'],
    },
    constraints: ['unique (organization_id, id)'],
  },
  {
    name: 'steward_app.group_members',
    comment: 'Who is in which group.',
    columns: {
      group_id: ['uuid not null', 'The group.'],
      member_id: ['uuid not null', 'The member.'],
      organization_id: ['uuid not null', 'Organization of both.'],
    },
    constraints: ['primary key (member_id, group_id)'],
    indexes: [
      'create index group_members_organization on steward_app.group_members (organization_id, group_id, member_id)',
    ],
  },
  {
    name: 'steward_app.personal_connections',
    comment: 'External personal Zoom connections: the main app keeps the tokens and shows the worker the fact.',
    columns: {
      member_id: ['uuid primary key', 'The member whose Zoom it is.'],
      organization_id: ['uuid not null', 'Organization of the member.'],
      state: [
        `text not null check (state in ('connected', 'broken', 'disconnected'))`,
        'connected: usable; broken: the main app knows it is dead; disconnected: the member ended it.',
      ],
      zoom_account_id: ['text', 'Zoom account, if known.'],
      zoom_user_id: ['text', 'Zoom user, if known.'],
      updated_at: ['timestamptz not null default now()', 'When the main app last changed the row.'],
    },
    indexes: [
      'create index personal_connections_organization on steward_app.personal_connections (organization_id, member_id)',
    ],
  },
  {
    name: 'steward_app.event_types',
    comment: 'What invitees book.',
    columns: {
      id: ['uuid primary key', 'Id of the event type.'],
      organization_id: ['uuid not null', 'Organization, also for sub-team and personal event types.'],
      kind: [
        `text not null check (kind in ('solo', 'group', 'managed', 'template', 'round_robin', 'collective'))`,
        'solo and group: the host serves; managed: its assignee; template: its owner, or any assignee; round_robin: any active host; collective: the organizer.',
      ],
      host_member_id: [
        'uuid',
        'Owner (solo, group, template), assignee (managed) or organizer (collective); null for round_robin and for a template without owner.',
      ],
      title: ['text not null', 'Title.'],
      locations: [
        'jsonb',
        'Ordered list of locations, only where the JSON adapter is configured: objects with at least "kind".',
      ],
      created_at: ['timestamptz not null default now()', 'When it was created.'],
      updated_at: [
        'timestamptz not null default now()',
        'When the main app last changed the row; the worker never touches it.',
      ],
    },
    indexes: [
      'create unique index event_types_organization on steward_app.event_types (organization_id, id)',
      'create index event_types_host on steward_app.event_types (host_member_id)',
    ],
  },
  {
    name: 'steward_app.event_type_hosts',
    comment: 'Hosts of round-robin and collective event types, and assignees of templates.',
    columns: {
      event_type_id: ['uuid not null', 'The event type.'],
      member_id: ['uuid not null', 'The host or assignee.'],
      organization_id: ['uuid not null', 'Organization of the event type.'],
      active: ['boolean not null default true', 'Whether the host takes part now.'],
    },
    constraints: ['primary key (event_type_id, member_id)'],
    indexes: [
      'create index event_type_hosts_member on steward_app.event_type_hosts (member_id, event_type_id)',
      'create index event_type_hosts_organization on steward_app.event_type_hosts (organization_id, event_type_id)',
    ],
  },
  {
    name: 'steward_app.locations',
    comment: 'Locations of event types, one row each, only where the row adapter is configured.',
    columns: {
      id: ['uuid primary key', 'Id of the location; comes back unchanged on restore.'],
      event_type_id: ['uuid not null', 'The event type.'],
      organization_id: ['uuid not null', 'Organization of the event type.'],
      position: ['integer not null', 'Place in the ordered list; gaps are allowed.'],
      kind: [
        `text not null check (kind in ('zoom_conference', 'google_conference', 'microsoft_teams_conference', 'webex_conference', 'gotomeeting_conference', 'physical', 'inbound_call', 'outbound_call', 'ask_invitee', 'custom'))`,
        'Kind of location.',
      ],
      details: [`jsonb not null default '{}'`, 'Address, phone number, text … of the location.'],
      created_at: ['timestamptz not null default now()', 'When it was added.'],
      updated_at: ['timestamptz not null default now()', 'When it was last edited.'],
    },
    indexes: [
      'create index locations_event_type on steward_app.locations (event_type_id, position)',
      `create index locations_zoom on steward_app.locations (organization_id, event_type_id) where kind = 'zoom_conference'`,
    ],
  },
  {
    name: 'steward_app.bookings',
    comment: 'Booked meetings.',
    columns: {
      id: ['uuid primary key', 'Id of the booking.'],
      organization_id: ['uuid not null', 'Organization of the host.'],
      event_type_id: ['uuid', 'What was booked.'],
      host_member_id: ['uuid', 'Who hosts.'],
      starts_at: ['timestamptz not null', 'Start.'],
      status: [`text not null default 'booked' check (status in ('booked', 'cancelled'))`, 'booked or cancelled.'],
      meeting_ref: ['text', 'What meetings.create returned; null without a Zoom meeting of ours.'],
      meeting_connection_id: ['uuid', 'Connection that made the meeting, from the meeting reference.'],
      meeting_zoom_account_id: ['text', 'Zoom account the meeting lives on.'],
      join_url: ['text', 'Link given to the invitee; never changed by the worker.'],
      detached_at: ['timestamptz', 'Set by the worker when the meeting can no longer be changed at Zoom.'],
    },
    indexes: [
      'create index bookings_connection on steward_app.bookings (meeting_connection_id, id) where meeting_connection_id is not null',
      'create index bookings_organization on steward_app.bookings (organization_id, starts_at)',
    ],
  },
];

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('create schema if not exists steward_app').execute(db);
  for (const table of tables) for (const statement of createTable(table)) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw('drop schema steward_app cascade').execute(db);
}
