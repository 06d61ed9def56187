import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';

/** A location as stored: what the rules see, and its bytes. */
export type StoredLocation = {
  /** null: an element without id, that is a fallback in the JSON list */
  readonly id: string | null;
  readonly kind: string;
  /** only of what was inserted lately; everything else is compared by its bytes */
  readonly details: Readonly<Record<string, unknown>> | null;
  /** digest of the whole row, or the whole element as text */
  readonly print: string;
  /** transaction that wrote the row last; null in the JSON list */
  readonly writtenBy: string | null;
};

export type StoredArchive = {
  readonly locationId: string | null;
  readonly cause: string;
  readonly offered: boolean;
  readonly generation: number;
};

/** What is stored about an event type. */
export type StoredEventType = {
  readonly locations: readonly StoredLocation[];
  readonly archives: readonly StoredArchive[];
  readonly needsLocation: boolean;
  /** how its start with Zoom is noted */
  readonly start: string | null;
  /** the row without its locations, as text */
  readonly print: string;
  /** transaction that wrote the row last */
  readonly writtenBy: string;
};

export type Snapshot = ReadonlyMap<string, StoredEventType>;

type Draft = { -readonly [K in keyof StoredEventType]: StoredEventType[K] } & {
  locations: StoredLocation[];
  archives: StoredArchive[];
};

/** All event types of these organizations as stored now, as one adapter sees them. */
export async function readLocations(
  db: Database,
  organizations: readonly string[],
  adapter: LocationAdapter,
): Promise<Snapshot> {
  const snapshot = new Map<string, Draft>();
  const { rows: eventTypes } = await sql<
    Pick<StoredEventType, 'print' | 'writtenBy' | 'start' | 'locations'> & { id: string; locations: StoredLocation[] }
  >`
    select e.id, (select s.state from steward.zoom_starts s where s.organization_id = e.organization_id and s.event_type_id = e.id) as start, md5((to_jsonb(e) - 'locations')::text) as print, e.xmin::text as "writtenBy",
           case when ${adapter} = 'json' then (
             select coalesce(jsonb_agg(jsonb_build_object('id', x.element ->> 'id', 'kind', x.element ->> 'kind', 'details', case when x.element ? 'id' then null else x.element -> 'details' end,
                                                          'print', x.element::text, 'writtenBy', null) order by x.place), '[]')
               from jsonb_array_elements(coalesce(e.locations, '[]')) with ordinality as x (element, place))
           else '[]' end as locations
      from steward_app.event_types e where e.organization_id = any(${organizations}::uuid[])`.execute(db);
  for (const { id, ...rest } of eventTypes) snapshot.set(id, { ...rest, archives: [], needsLocation: false });
  if (adapter === 'rows') await addRows(db, organizations, snapshot);
  await addCopies(db, organizations, adapter, snapshot);
  return snapshot;
}

async function addRows(db: Database, organizations: readonly string[], snapshot: Map<string, Draft>): Promise<void> {
  const { rows } = await sql<StoredLocation & { eventType: string }>`
    select l.event_type_id as "eventType", l.id, l.kind, case when l.created_at > now() - interval '1 hour' then l.details end as details,
           md5(to_jsonb(l)::text) as print, l.xmin::text as "writtenBy"
      from steward_app.locations l where l.organization_id = any(${organizations}::uuid[])
     order by l.event_type_id, l.position, l.id`.execute(db);
  for (const { eventType, ...location } of rows) snapshot.get(eventType)?.locations.push(location);
}

async function addCopies(
  db: Database,
  organizations: readonly string[],
  adapter: LocationAdapter,
  snapshot: Map<string, Draft>,
): Promise<void> {
  const { rows: archives } = await sql<StoredArchive & { eventType: string }>`
    select a.event_type_id as "eventType", a.content ->> 'id' as "locationId", a.cause, a.offered, a.generation
      from steward.archived_locations a where a.organization_id = any(${organizations}::uuid[]) and a.adapter = ${adapter}
     order by a.archived_at, a.place`.execute(db);
  for (const { eventType, ...archive } of archives) snapshot.get(eventType)?.archives.push(archive);
  const { rows: flags } = await sql<{ eventType: string }>`
    select f.event_type_id as "eventType" from steward.event_type_flags f where f.organization_id = any(${organizations}::uuid[])`.execute(
    db,
  );
  for (const { eventType } of flags) {
    const flagged = snapshot.get(eventType);
    if (flagged) flagged.needsLocation = true;
  }
}
