import { deepStrictEqual } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import {
  type LocationCounts,
  locationsChunk,
  tellLocationChanges,
} from '../../../src/reconciliation/locations-apply.ts';
import { type EventTypeKind, planLocations } from '../../../src/reconciliation/locations-plan.ts';

export const zoom = 'zoom_conference';

/** A location as tests write it; the JSON adapter stores the details beside the kind. */
export type LocationSpec = {
  readonly kind: string;
  readonly details?: Record<string, unknown>;
  readonly position?: number;
};

export type EventTypeSpec = {
  readonly kind?: EventTypeKind;
  readonly host?: string | null;
  readonly hosts?: readonly (string | { member: string; active: boolean })[];
  readonly locations: readonly LocationSpec[];
};

export const phone: LocationSpec = { kind: 'outbound_call', details: { phone: '+49 30 123', note: 'Grüße – 1.0' } };
export const room: LocationSpec = { kind: 'physical', details: { address: 'Room 4', floors: [1.5, 2] } };
export const online: LocationSpec = { kind: zoom, details: { note: 'use the lobby', n: 1 } };

/** An organization in the database with a connection, and short ways to change it and to look at it. */
export async function createLocationWorld(db: Database, adapter: LocationAdapter, state = 'active') {
  const organizationId = randomUUID();
  const account = `acc-${organizationId}`;
  await sql`insert into steward_app.organizations (id, name) values (${organizationId}, 'World')`.execute(db);
  await sql`insert into steward.directories (zoom_account_id, synced_at) values (${account}, steward.now())`.execute(
    db,
  );
  await sql`insert into steward.org_connections (id, organization_id, state, zoom_account_id)
            values (gen_random_uuid(), ${organizationId}, ${state}, ${account})`.execute(db);

  async function addMember(
    options: { zoomUser?: boolean; active?: boolean; personal?: 'connected' | 'broken' | 'disconnected' } = {},
  ) {
    const id = randomUUID();
    const { zoomUser = true, active = true, personal } = options;
    await sql`insert into steward_app.members (id, organization_id, name, email, email_verified, role, active)
              values (${id}, ${organizationId}, 'M', ${`${id}@world.test`}, true, 'user', ${active})`.execute(db);
    if (zoomUser) {
      await sql`insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
                values (${account}, ${id}, ${id}, ${`${id}@world.test`}, 'active', 2, steward.now())`.execute(db);
    }
    if (personal) await setPersonal(id, personal);
    return id;
  }

  async function setPersonal(memberId: string, personal: 'connected' | 'broken' | 'disconnected') {
    await sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${memberId}, ${organizationId}, ${personal})
              on conflict (member_id) do update set state = excluded.state`.execute(db);
  }

  async function setLocations(eventTypeId: string, locations: readonly LocationSpec[]) {
    if (adapter === 'json') {
      const list = locations.map(({ kind, details }) => ({ kind, ...details }));
      await sql`update steward_app.event_types set locations = ${JSON.stringify(list)}::jsonb where id = ${eventTypeId}`.execute(
        db,
      );
      return;
    }
    await sql`delete from steward_app.locations where event_type_id = ${eventTypeId}`.execute(db);
    for (const [index, { kind, details = {}, position = index * 2 }] of locations.entries()) {
      await sql`insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
                values (gen_random_uuid(), ${eventTypeId}, ${organizationId}, ${position}, ${kind}, ${JSON.stringify(details)}::jsonb)`.execute(
        db,
      );
    }
  }

  async function addEventType({ kind = 'solo', host = null, hosts = [], locations }: EventTypeSpec) {
    const id = randomUUID();
    await sql`insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
              values (${id}, ${organizationId}, ${kind}, ${host}, 'T')`.execute(db);
    for (const entry of hosts) {
      const { member, active } = typeof entry === 'string' ? { member: entry, active: true } : entry;
      await sql`insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id, active)
                values (${id}, ${member}, ${organizationId}, ${active})`.execute(db);
    }
    await setLocations(id, locations);
    return id;
  }

  /** Changes the connection; every change raises the generation, as commands do. */
  async function setConnection(change: { state: string; cause?: 'person' | 'deadline' | null; observe?: boolean }) {
    const { state, cause = null, observe = false } = change;
    await sql`update steward.org_connections
                 set state = ${state}, disconnect_cause = ${cause}, generation = generation + 1, observe = ${observe},
                     disconnected_at = case when ${state} = 'active' then null when ${state} in ('disconnecting', 'none') then steward.now() else disconnected_at end
               where organization_id = ${organizationId}`.execute(db);
  }

  async function setSettings(settings: {
    fallback?: unknown;
    allowOptOut?: boolean;
    archiveDays?: number;
    zoomForNew?: boolean;
  }) {
    const { fallback, allowOptOut = false, archiveDays = 90, zoomForNew = false } = settings;
    await sql`insert into steward.organization_settings (organization_id, fallback_location, allow_opt_out, archive_days, zoom_for_new_event_types, new_event_types_since)
              values (${organizationId}, ${fallback === undefined ? null : JSON.stringify(fallback)}::jsonb, ${allowOptOut}, ${archiveDays}, ${zoomForNew},
                      case when ${zoomForNew} then clock_timestamp() end)
              on conflict (organization_id) do update set fallback_location = excluded.fallback_location,
                allow_opt_out = excluded.allow_opt_out, archive_days = excluded.archive_days,
                zoom_for_new_event_types = excluded.zoom_for_new_event_types, new_event_types_since = excluded.new_event_types_since`.execute(
      db,
    );
  }

  /** Whole tables compared come to the same plan as a look at every event type. */
  async function comparePlans(): Promise<void> {
    for (const assume of [{}, { state: 'disconnecting' }, { state: 'active' }] as const) {
      const request = { organizationId, adapter, ...('state' in assume ? { assume } : {}) };
      deepStrictEqual(
        await planLocations(db, { ...request, pageSize: 1, wholeTables: true }),
        await planLocations(db, { ...request, doubtful: null }),
      );
    }
  }

  /** Reconciles everything in chunks of so many event types and tells it. */
  async function reconcile(limit = 100): Promise<LocationCounts & { runId: string; chunks: number }> {
    if (adapter === 'rows') await comparePlans();
    const runId = randomUUID();
    const total: Record<string, number> = {};
    let after: string | null = null;
    let chunks = 0;
    do {
      const chunk = await db
        .transaction()
        .execute((trx) => locationsChunk(trx, { organizationId, runId, adapter, afterEventTypeId: after, limit }));
      for (const [name, count] of Object.entries(chunk.counts)) total[name] = (total[name] ?? 0) + count;
      after = chunk.lastEventTypeId;
      chunks++;
    } while (after !== null);
    await db.transaction().execute((trx) => tellLocationChanges(trx, { organizationId }));
    return { ...(total as LocationCounts), runId, chunks };
  }

  /** Every byte of the locations of an event type, in order, with whoever wrote the row last. */
  async function locationsOf(eventTypeId: string): Promise<{ kind: string; bytes: string; writtenBy: string }[]> {
    const { rows } = await (adapter === 'rows'
      ? sql<{ kind: string; bytes: string; writtenBy: string }>`
          select kind, row(l.*)::text as bytes, l.xmin::text || l.ctid::text as "writtenBy" from steward_app.locations l
           where event_type_id = ${eventTypeId} order by position, id`
      : sql<{ kind: string; bytes: string; writtenBy: string }>`
          select coalesce(element ->> 'kind', '?') as kind, element::text as bytes, '' as "writtenBy"
            from steward_app.event_types e, jsonb_array_elements(e.locations) with ordinality as a (element, place)
           where e.id = ${eventTypeId} order by place`
    ).execute(db);
    return rows;
  }

  const kindsOf = async (eventTypeId: string) => (await locationsOf(eventTypeId)).map(({ kind }) => kind);

  /** Everything about an event type but its locations, and who wrote the row last. */
  async function eventTypeRow(eventTypeId: string): Promise<string | undefined> {
    const { rows } = await sql<{ row: string }>`
      select xmin::text || row(id, organization_id, kind, host_member_id, title, created_at, updated_at)::text as row
        from steward_app.event_types where id = ${eventTypeId}`.execute(db);
    return rows[0]?.row;
  }

  async function archivesOf(eventTypeId: string) {
    return db
      .selectFrom('steward.archived_locations')
      .selectAll()
      .where('event_type_id', '=', eventTypeId)
      .orderBy('place')
      .execute();
  }

  async function isFlagged(eventTypeId: string): Promise<boolean> {
    const { rows } = await sql`select from steward.event_type_flags where event_type_id = ${eventTypeId}`.execute(db);
    return rows.length > 0;
  }

  async function events(type: string) {
    const { rows } = await sql<{
      subjectId: string | null;
      data: { eventTypes: number; locations?: number; eventTypeIds: string[]; causes?: string[] };
    }>`
      select subject_id as "subjectId", data from steward.events where organization_id = ${organizationId} and type = ${type} order by seq`.execute(
      db,
    );
    return rows;
  }

  return {
    db,
    adapter,
    organizationId,
    account,
    addMember,
    setPersonal,
    addEventType,
    setLocations,
    setConnection,
    setSettings,
    reconcile,
    locationsOf,
    kindsOf,
    eventTypeRow,
    archivesOf,
    isFlagged,
    events,
  };
}

export type LocationWorld = Awaited<ReturnType<typeof createLocationWorld>>;
