import { type Answer, answerFor, type Reason } from './oracle-members.ts';
import { startWithZoom } from './oracle-starts.ts';
import {
  type RemovalCause,
  removalCauses,
  type World,
  type WorldArchive,
  type WorldEventType,
  type WorldLocation,
} from './oracle-world.ts';

/**
 * The rules of docs/behaviour.md about locations, written to be read: what one look at an event type makes of it.
 * No I/O; the engine's two adapters are compared with it.
 */

/** What a look at an event type does. */
export type LocationOutcome =
  | { readonly kind: 'kept' | 'untouched' }
  | { readonly kind: 'removed'; readonly cause: RemovalCause; readonly offered: boolean; readonly locations: number }
  | { readonly kind: 'restored'; readonly locations: number };

export type LocationAnswer = {
  readonly outcome: LocationOutcome;
  /** then Zoom was put first, because the event type is new */
  readonly started: boolean;
  readonly after: WorldEventType;
};

type Settled = Omit<LocationAnswer, 'started'>;

const zoomKind = 'zoom_conference';

const isZoom = (location: WorldLocation): boolean => location.kind === zoomKind;

/** Members who serve an event type's Zoom location. */
export function serversOf({ kind, host, hosts }: WorldEventType): string[] {
  const active = hosts.filter((entry) => entry.active).map((entry) => entry.member);
  switch (kind) {
    case 'solo':
    case 'group':
    case 'managed':
    case 'collective':
      return host === null ? [] : [host];
    case 'template':
      return host === null ? active : [host];
    case 'round_robin':
      return active;
    default:
      return kind satisfies never;
  }
}

/** Why the Zoom locations go, or null where they stay. A connection that breaks takes nothing away. */
function removalCause(world: World, servers: readonly Answer[]): RemovalCause | null {
  const reasons = servers.map(({ reason }) => reason);
  if (reasons.length === 0) return organizationIsDisconnected(world) ? 'organization_disconnected' : null;
  if (!reasons.every(isRemovalCause)) return null;
  if (reasons.includes('organization_disconnected')) return 'organization_disconnected';
  return removalCauses.find((cause) => reasons.includes(cause)) ?? null;
}

const isRemovalCause = (reason: Reason): reason is RemovalCause =>
  (removalCauses as readonly Reason[]).includes(reason);

function organizationIsDisconnected({ connection }: World): boolean {
  if (!connection) return false;
  const { state, everDisconnected } = connection;
  return state === 'disconnecting' || ((state === 'none' || state === 'pending') && everDisconnected);
}

/** What a person decided is offered back, what happened by itself comes back by itself. */
function isOffered({ connection }: World, cause: RemovalCause): boolean {
  if (cause === 'personal_disconnected') return true;
  return cause === 'organization_disconnected' && connection?.disconnectCause === 'person';
}

/**
 * One look at an event type: Zoom locations kept, taken away, or brought back, and a new one starts with Zoom; everything
 * else as it was. `answer` may be given where the answers for the world's members are known already.
 */
export function lookAt(
  world: World,
  eventType: WorldEventType,
  answer: (memberId: string) => Answer = (memberId) => answerFor(world, memberId),
): LocationAnswer {
  const servers = serversOf(eventType).map(answer);
  const settled = settle(world, eventType, servers);
  const after = startWithZoom(world, settled.after, servers);
  return { ...settled, started: after.locations.length > settled.after.locations.length, after };
}

function settle(world: World, eventType: WorldEventType, servers: readonly Answer[]): Settled {
  if (world.connection?.observe) return { outcome: { kind: 'untouched' }, after: eventType };
  const hasZoom = eventType.locations.some(isZoom);

  if (hasZoom) {
    const cause = removalCause(world, servers);
    return cause === null
      ? { outcome: { kind: 'kept' }, after: unflagged(eventType) }
      : remove(world, eventType, cause);
  }
  const returning = servers.some(({ hosting }) => hosting === 'can_host') ? restorable(world, eventType) : [];
  if (returning.length > 0) return restore(eventType, returning);
  return { outcome: { kind: 'untouched' }, after: unflagged(eventType) };
}

/** The flag goes as soon as there is a location again, whoever added it. */
function unflagged(eventType: WorldEventType): WorldEventType {
  return { ...eventType, needsLocation: eventType.needsLocation && eventType.locations.length === 0 };
}

function remove(world: World, eventType: WorldEventType, cause: RemovalCause): Settled {
  const { fallback: wanted } = world.settings;
  const others = eventType.locations.filter((location) => !isZoom(location));
  const fallback = others.length === 0 && wanted ? { id: `fallback of ${eventType.id}`, ...wanted } : null;
  const left = fallback ? [fallback] : others;
  const offered = isOffered(world, cause);
  const archived = eventType.locations.flatMap((location, place): WorldArchive[] =>
    isZoom(location)
      ? [
          {
            location,
            place,
            left,
            fallback,
            cause,
            offered,
            generation: world.connection?.generation ?? 0,
            overtaken: false,
            expired: false,
            accepted: false,
          },
        ]
      : [],
  );
  return {
    outcome: { kind: 'removed', cause, offered, locations: archived.length },
    after: {
      ...eventType,
      locations: left,
      archives: [...eventType.archives.map((archive) => ({ ...archive, overtaken: true })), ...archived],
      needsLocation: left.length === 0,
    },
  };
}

/** The copies of the newest removal, if they may return and nobody edited the locations since. */
function restorable({ connection }: World, { locations, archives }: WorldEventType): readonly WorldArchive[] {
  return archives.filter(
    (archive) =>
      !archive.overtaken &&
      !archive.expired &&
      sameLocations(archive.left, locations) &&
      (!archive.offered || archive.accepted || (connection?.restoreGenerations ?? []).includes(archive.generation)),
  );
}

function restore(eventType: WorldEventType, returning: readonly WorldArchive[]): Settled {
  const fallbacks = returning.map(({ fallback }) => fallback?.id);
  const list = eventType.locations.filter(({ id }) => !fallbacks.includes(id));
  for (const { place, location } of [...returning].sort((a, b) => a.place - b.place)) list.splice(place, 0, location);
  return {
    outcome: { kind: 'restored', locations: returning.length },
    after: {
      ...eventType,
      locations: list,
      archives: eventType.archives.filter((archive) => !returning.includes(archive)),
      needsLocation: false,
    },
  };
}

const sameLocations = (one: readonly WorldLocation[], other: readonly WorldLocation[]): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
