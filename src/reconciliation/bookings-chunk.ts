import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import type { Counts } from './counts.ts';
import { firstKey, inRange, type KeyRange } from './key-range.ts';
import type { OrganizationFacts } from './organization-facts.ts';

/**
 * Whether a meeting can still be changed at Zoom is a fact about the connection that made it: gone, or pointing to
 * another Zoom account, the booking is marked detached; back at the same account, the mark goes. Only meetings that
 * are booked and still to come are marked; of a meeting whose account nobody knows nothing is concluded from accounts.
 * Links are never touched.
 */

/** true: no meeting made through the org connection can be changed; false: those of its Zoom account can; null: nothing to say */
function detachedNow({ state, everDisconnected }: OrganizationFacts): boolean | null {
  if (state === 'active' || state === 'interrupted') return false;
  if (state === 'disconnecting' || everDisconnected) return true;
  return null;
}

export type BookingsChunk = {
  /** where to go on; null at the end */
  readonly lastBookingId: string | null;
  readonly bookings: number;
  readonly counts: Counts;
};

/** One page of the bookings made through the org connection, in order of id. The caller holds the organization. */
export async function bookingsChunk(
  trx: Transaction<DB>,
  { facts, after, limit }: { facts: OrganizationFacts; after: string | null; limit: number },
): Promise<BookingsChunk> {
  const detached = detachedNow(facts);
  if (detached === null || facts.connectionId === null) return { lastBookingId: null, bookings: 0, counts: {} };
  const { rows } = await sql<{ last: string | null; bookings: number; detached: number; attached: number }>`
    with page as materialized (
      select b.id, b.detached_at, b.status, b.starts_at,
             ${detached}::boolean or b.meeting_zoom_account_id <> ${facts.zoomAccountId}::text as should
        from steward_app.bookings b
       where b.meeting_connection_id = ${facts.connectionId} and b.id > ${after ?? firstKey}::uuid
       order by b.id limit ${limit}),
    detached as (
      update steward_app.bookings b set detached_at = steward.now() from page p
       where b.id = p.id and p.should and b.detached_at is null and b.status = 'booked' and b.starts_at >= steward.now()
      returning 1),
    attached as (
      update steward_app.bookings b set detached_at = null from page p
       where b.id = p.id and not p.should and b.detached_at is not null
      returning 1)
    select (select id from page order by id desc limit 1) as last, (select count(*) from page) as bookings,
           (select count(*) from detached) as detached, (select count(*) from attached) as attached`.execute(trx);
  const page = rows[0] as (typeof rows)[number];
  return {
    lastBookingId: page.bookings < limit ? null : page.last,
    bookings: page.bookings,
    counts: { 'bookings.detached': page.detached, 'bookings.attached': page.attached },
  };
}

const personalBookings = (organizationId: string, members: ReturnType<typeof sql>) => sql`
  with concerned as materialized (
    select p.id, p.zoom_account_id, p.state from steward.personal_connections p
     where p.organization_id = ${organizationId} and p.state in ('active', 'suspect', 'disconnected') and ${members}),
  detached as (
    update steward_app.bookings b set detached_at = steward.now() from concerned p
     where b.meeting_connection_id = p.id and b.detached_at is null and b.status = 'booked' and b.starts_at >= steward.now()
       and (p.state = 'disconnected' or b.meeting_zoom_account_id <> p.zoom_account_id)
    returning 1),
  attached as (
    update steward_app.bookings b set detached_at = null from concerned p
     where b.meeting_connection_id = p.id and b.detached_at is not null
       and p.state <> 'disconnected' and b.meeting_zoom_account_id = p.zoom_account_id
    returning 1)
  select (select count(*) from detached) as "bookings.detached", (select count(*) from attached) as "bookings.attached"`;

/** The same for meetings made through the members' own managed connections. One that broke is not gone. */
export async function writePersonalBookings(
  trx: Transaction<DB>,
  organizationId: string,
  members: { readonly ids: readonly string[] } | KeyRange,
): Promise<Counts> {
  const concerned =
    'ids' in members ? sql`p.member_id = any(${members.ids}::uuid[])` : inRange(sql.ref('p.member_id'), members);
  const { rows } = await sql<Record<string, number>>`${personalBookings(organizationId, concerned)}`.execute(trx);
  return rows[0] ?? {};
}

/** How many bookings a run would mark or unmark, without writing; of the org connection only. */
export async function planBookings(
  db: Database,
  facts: OrganizationFacts,
): Promise<{ detached: number; attached: number }> {
  const detached = detachedNow(facts);
  if (detached === null || facts.connectionId === null) return { detached: 0, attached: 0 };
  const { rows } = await sql<{ detached: number; attached: number }>`
    select count(*) filter (where should and detached_at is null and status = 'booked' and starts_at >= steward.now()) as detached,
           count(*) filter (where not should and detached_at is not null) as attached
      from (select b.detached_at, b.status, b.starts_at, ${detached}::boolean or b.meeting_zoom_account_id <> ${facts.zoomAccountId}::text as should
              from steward_app.bookings b where b.meeting_connection_id = ${facts.connectionId}) b`.execute(db);
  return rows[0] as { detached: number; attached: number };
}
