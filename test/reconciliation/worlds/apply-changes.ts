import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import { type ArchiveChanges, type Edit, type Edits, editedDetails } from './edits.ts';
import { elementOf, hostRows } from './event-type-rows.ts';
import { insertRows, type Row } from './insert-rows.ts';
import type { Snapshot, StoredLocation } from './read-locations.ts';
import { idOf, organizationOf } from './world-ids.ts';
import type { NamedWorld } from './world-rows.ts';

/** Gives event types the hosts that their worlds name now; those that did not change are not written. */
export async function rewriteHosts(db: Database, worlds: readonly NamedWorld[]): Promise<void> {
  const hosts = worlds.flatMap(({ key, world }) =>
    world.eventTypes.map((eventType) => ({
      id: idOf(key, eventType.id),
      host: eventType.host === null ? null : idOf(key, eventType.host),
    })),
  );
  await sql`
    update steward_app.event_types e set host_member_id = x.host
      from jsonb_to_recordset(${JSON.stringify(hosts)}::jsonb) as x (id uuid, host uuid)
     where e.id = x.id and e.host_member_id is distinct from x.host`.execute(db);
  await sql`delete from steward_app.event_type_hosts where organization_id = any(${worlds.map(({ key }) => organizationOf(key))}::uuid[])`.execute(
    db,
  );
  await insertRows(
    db,
    'steward_app.event_type_hosts',
    worlds.flatMap(({ key, world }) => world.eventTypes.flatMap((eventType) => hostRows(key, eventType))),
  );
}

/** Edits the stored lists as a person would through the main app, found by their places in what is stored now. */
export async function applyEdits(
  db: Database,
  adapter: LocationAdapter,
  changes: readonly { readonly key: string; readonly edits: Edits }[],
  stored: Snapshot,
): Promise<void> {
  const deleted: string[] = [];
  const updated: string[] = [];
  const added: Row[] = [];
  const lists: Row[] = [];
  for (const { key, edits } of changes)
    for (const [eventTypeId, list] of edits) {
      const id = idOf(key, eventTypeId);
      const locations = [...(stored.get(id)?.locations ?? [])];
      if (adapter === 'json') lists.push({ id, locations: editedList(key, locations, list) });
      else
        for (const edit of list) {
          if (edit.kind === 'add')
            added.push({
              id: idOf(key, edit.location.id),
              event_type_id: id,
              organization_id: organizationOf(key),
              position: 1000,
              kind: edit.location.kind,
              details: edit.location.details,
            });
          else {
            const target = locations[edit.at]?.id;
            if (!target) throw new Error(`${key}/${eventTypeId}: no location at ${edit.at}`);
            (edit.kind === 'delete' ? deleted : updated).push(target);
            if (edit.kind === 'delete') locations.splice(edit.at, 1);
          }
        }
    }
  await sql`delete from steward_app.locations where id = any(${deleted}::uuid[])`.execute(db);
  await sql`
    update steward_app.locations set details = details || ${JSON.stringify(editedDetails)}::jsonb, updated_at = now()
     where id = any(${updated}::uuid[])`.execute(db);
  await insertRows(db, 'steward_app.locations', added);
  await sql`
    update steward_app.event_types e set locations = x.locations
      from jsonb_to_recordset(${JSON.stringify(lists)}::jsonb) as x (id uuid, locations jsonb) where e.id = x.id`.execute(
    db,
  );
}

function editedList(key: string, stored: readonly StoredLocation[], edits: readonly Edit[]): unknown[] {
  const list = stored.map(({ print }) => JSON.parse(print) as Row);
  for (const edit of edits) {
    if (edit.kind === 'add') list.push(elementOf(key, edit.location));
    else if (edit.kind === 'delete') list.splice(edit.at, 1);
    else list[edit.at] = { ...list[edit.at], ...editedDetails };
  }
  return list;
}

/** Lets copies expire, or an offer be accepted, for whole event types. */
export async function applyArchiveChanges(
  db: Database,
  changes: readonly { readonly key: string; readonly archives: ArchiveChanges }[],
): Promise<void> {
  const ids = (which: 'expired' | 'accepted') =>
    changes.flatMap(({ key, archives }) =>
      [...archives].flatMap(([id, change]) => (change[which] ? [idOf(key, id)] : [])),
    );
  await sql`
    update steward.archived_locations set expires_at = steward.now() - interval '1 second'
     where event_type_id = any(${ids('expired')}::uuid[])`.execute(db);
  await sql`
    update steward.archived_locations set accepted_at = steward.now() where event_type_id = any(${ids('accepted')}::uuid[])`.execute(
    db,
  );
}
