import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const tables: TableSpec[] = [
  {
    name: 'steward.meeting_requests',
    comment: 'Requests for meetings by their idempotency key, for 24 hours: at most one meeting is made for each.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      idempotency_key: ['text not null', 'Name that the main app gave the booking.'],
      fingerprint: ['bytea not null', 'SHA-256 of what was asked for: another request under the same key is refused.'],
      state: [
        `text not null check (state in ('begun', 'made', 'unknown'))`,
        'begun: under way, or given up two minutes later; unknown: sent to Zoom, and no answer came. Refused ones have no row.',
      ],
      meeting_ref: ['uuid', 'The meeting that was made.'],
      answer: ['jsonb', 'What was answered, with the link to join; no token.'],
      started_at: ['timestamptz not null', 'When.'],
    },
    constraints: ['primary key (organization_id, idempotency_key)'],
    indexes: ['create index meeting_requests_age on steward.meeting_requests (started_at)'],
  },
  {
    name: 'steward.host_blocks',
    comment: 'Hosts for whom Zoom makes nothing just now, so that it is not asked again before.',
    columns: {
      zoom_account_id: ['text not null', 'The account.'],
      zoom_user_id: ['text not null', 'The Zoom user.'],
      reason: [
        `text not null check (reason in ('daily_limit', 'cannot_host'))`,
        'daily_limit: 100 meetings made or changed, until 00:00 UTC; cannot_host: Zoom refused by number.',
      ],
      zoom_code: ['integer', 'That number: 1001, 1010, 1120.'],
      until: ['timestamptz not null', 'Until when.'],
    },
    constraints: ['primary key (zoom_account_id, zoom_user_id)'],
  },
  {
    name: 'steward.call_breakers',
    comment:
      'Grants whose calls about meetings Zoom refuses as such, token or permission: after three in a row nothing is sent for a while.',
    columns: {
      grant_id: ['uuid primary key', 'The grant, and so every connection that lives on it.'],
      version: ['bigint not null', 'Its tokens then: newer ones are tried at once.'],
      failures: ['integer not null', 'Refusals in a row.'],
      reason: ['text not null', 'What the last one was: token, missing_permission, missing_scope, application.'],
      failed_at: ['timestamptz not null', 'When.'],
      open_until: ['timestamptz not null', 'Until when nothing is sent; after it one call tries.'],
    },
  },
  {
    name: 'steward.meeting_quotas',
    comment: 'Calls about meetings in the minute under way. Not logged: a crash forgets a minute.',
    columns: {
      subject: ['text primary key', 'key:ID of a service key, or organization:ID.'],
      minute: ['timestamptz not null', 'Beginning of the minute.'],
      used: ['integer not null', 'Calls in it.'],
    },
  },
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of tables) for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  await sql.raw('alter table steward.meeting_quotas set unlogged').execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of [...tables].reverse()) await sql.raw(`drop table ${table.name} cascade`).execute(db);
}
