import type { WorldEventType, WorldLocation } from '../../../src/reconciliation/oracle-world.ts';
import type { Row } from './insert-rows.ts';
import { idOf, organizationOf } from './world-ids.ts';
import type { PlayedWorld, WalkTimes } from './world-rows.ts';

/** Element of the JSON list for a location. */
export const elementOf = (key: string, location: WorldLocation): Row => ({
  id: idOf(key, location.id),
  kind: location.kind,
  ...location.details,
});

/** Rows of a world's event types, their hosts, and their locations where the adapter keeps them. Positions have gaps. */
export function eventTypeRows({ key, world, adapter }: PlayedWorld, times: WalkTimes): Record<string, Row[]> {
  const organization_id = organizationOf(key);
  const id = (label: string) => idOf(key, label);
  return {
    'steward_app.event_types': world.eventTypes.map((eventType) => ({
      id: id(eventType.id),
      organization_id,
      kind: eventType.kind,
      host_member_id: eventType.host === null ? null : id(eventType.host),
      title: eventType.id,
      locations: adapter === 'json' ? eventType.locations.map((location) => elementOf(key, location)) : null,
      created_at: eventType.isNew ? times.after : times.before,
      updated_at: times.before,
    })),
    'steward_app.event_type_hosts': world.eventTypes.flatMap((eventType) => hostRows(key, eventType)),
    'steward_app.locations': (adapter === 'rows' ? world.eventTypes : []).flatMap((eventType) =>
      eventType.locations.map((location, index) => ({
        id: id(location.id),
        event_type_id: id(eventType.id),
        organization_id,
        position: index * 3 + 1,
        kind: location.kind,
        details: location.details,
        created_at: times.before,
        updated_at: times.walk,
      })),
    ),
  };
}

/** Rows of the hosts or assignees of an event type. */
export function hostRows(key: string, eventType: WorldEventType): Row[] {
  return eventType.hosts.map(({ member, active }) => ({
    event_type_id: idOf(key, eventType.id),
    member_id: idOf(key, member),
    organization_id: organizationOf(key),
    active,
  }));
}
