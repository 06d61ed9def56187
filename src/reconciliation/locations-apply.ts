import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { addZoomTo } from './zoom-starts.ts';

/** What was written, in event types and in locations. Equal zero everywhere: nothing was to be done. */
export type LocationCounts = {
  readonly removedEventTypes: number;
  readonly removed: number;
  readonly restoredEventTypes: number;
  readonly restored: number;
  readonly fallbacksInserted: number;
  readonly fallbacksRemoved: number;
  readonly needsLocation: number;
  /** flags taken back because somebody added a location */
  readonly unflagged: number;
};

export type LocationsChunkRequest = {
  readonly organizationId: string;
  readonly runId: string;
  readonly adapter: LocationAdapter;
  /** last key of the chunk before; null at the start */
  readonly afterEventTypeId: string | null;
  /** last key there is for it; not said, or null: the organization's last */
  readonly upToEventTypeId?: string | null;
  /** event types at most */
  readonly limit: number;
  /** whether anything could be taken at all (see `zoomMayGo`); not said: maybe */
  readonly mayGo?: boolean;
};

export type LocationsChunk = {
  /** where to go on; null at the end */
  readonly lastEventTypeId: string | null;
  /** event types looked at */
  readonly eventTypes: number;
  readonly counts: LocationCounts;
};

const columns = sql`
  removed_event_types as "removedEventTypes", removed, restored_event_types as "restoredEventTypes", restored,
  fallbacks_inserted as "fallbacksInserted", fallbacks_removed as "fallbacksRemoved", needs_location as "needsLocation", unflagged`;

/**
 * One chunk of an organization's locations: takes, archives and brings back Zoom locations as behaviour §6 says
 * of the facts as they are now. The caller holds the organization's lock and has checked the generation in this
 * transaction. Events wait until `tellLocationChanges`. Waits for edits of the main app under way.
 */
export async function locationsChunk(trx: Transaction<DB>, request: LocationsChunkRequest): Promise<LocationsChunk> {
  const { organizationId, runId, adapter, afterEventTypeId, upToEventTypeId = null, limit, mayGo = true } = request;
  const { rows } = await sql<{ lastEventTypeId: string | null; eventTypes: number } & LocationCounts>`
    select last_event_type_id as "lastEventTypeId", event_types as "eventTypes", ${columns}
      from steward.reconcile_locations_page(${organizationId}, ${runId}, ${adapter}, ${afterEventTypeId}, ${limit}, ${mayGo}, ${upToEventTypeId})`.execute(
    trx,
  );
  const { lastEventTypeId, eventTypes, ...counts } = rows[0] as (typeof rows)[number];
  return { lastEventTypeId, eventTypes, counts };
}

/**
 * Whether a run whose results are written could take any Zoom location. A question of size, and two scans: asked outside
 * the organization's lock. Of a run that stands on what the one before stored one of them is enough.
 */
export async function zoomMayGo(db: Database, organizationId: string, runId?: string): Promise<boolean> {
  const { rows } = await sql<{
    may: boolean;
  }>`select steward.zoom_may_go(${organizationId}, ${runId ?? null}) as may`.execute(db);
  return rows[0]?.may ?? true;
}

/**
 * The same for named event types, for the runs of a member or an event type, with new ones that start with Zoom; tells the
 * owners at once.
 * Ids that are not the organization's are passed over. The caller holds the locks of such a run.
 */
export async function reconcileEventTypes(
  trx: Transaction<DB>,
  request: { organizationId: string; eventTypeIds: readonly string[]; runId: string; adapter: LocationAdapter },
): Promise<LocationCounts & { readonly added: number }> {
  const { organizationId, eventTypeIds, runId, adapter } = request;
  const { rows } = await sql<LocationCounts>`
    select ${columns} from steward.reconcile_locations(${organizationId}, ${runId}, ${adapter}, ${eventTypeIds}::uuid[])`.execute(
    trx,
  );
  const counts = rows[0] as LocationCounts;
  const added = await addZoomTo(trx, request);
  if (counts.removed + counts.restored + added > 0) await tellLocationChanges(trx, { organizationId, runId });
  return { ...counts, added };
}

/**
 * Writes the events of what runs did to locations, one an owner and kind of change; an organization run calls it
 * without `runId` when it finishes, so that what superseded runs did is told as well. Many wait in batches for their positions.
 * @returns changes told
 */
export async function tellLocationChanges(
  trx: Transaction<DB>,
  { organizationId, runId = null }: { organizationId: string; runId?: string | null },
): Promise<number> {
  const { rows } = await sql<{
    told: number;
  }>`select steward.tell_location_changes(${organizationId}, ${runId}) as told`.execute(trx);
  return rows[0]?.told ?? 0;
}
