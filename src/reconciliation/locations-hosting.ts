import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Effective, Hosting, Reason } from './results.ts';

/** Somebody who serves an event type's Zoom location, and whether they can host now. */
export type EventTypeHost = {
  readonly memberId: string;
  readonly effective: Effective;
  /** the rule that decided */
  readonly reason: Reason;
  /** can_host, or why not */
  readonly hosting: Hosting;
  /** Zoom user to host as through the organization */
  readonly zoomUserId: string | null;
  /** hosts as a basic Zoom user: meetings end after 40 minutes */
  readonly basicPlan: boolean;
  readonly sharedHost: boolean;
};

/**
 * The hosts of an event type by behaviour §6.3, decided from the facts as they are committed now; for booking
 * pages and editors. A few hosts take less than 2 ms, whatever the size of the organization. Empty for an unknown
 * event type and for one that nobody serves.
 */
export async function hostingOfEventType(db: Database, eventTypeId: string): Promise<EventTypeHost[]> {
  const { rows } = await sql<EventTypeHost>`
    select member_id as "memberId", effective, reason, hosting, zoom_user_id as "zoomUserId", basic_plan as "basicPlan",
           via_shared_host as "sharedHost"
      from steward.event_type_hosting(${eventTypeId}) order by member_id`.execute(db);
  return rows;
}
