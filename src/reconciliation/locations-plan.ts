import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { findDoubtfulOf } from './doubtful-members.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import type { Assumption } from './organization-facts.ts';
import { inSnapshot } from './snapshot.ts';

export type EventTypeKind = 'solo' | 'group' | 'managed' | 'template' | 'round_robin' | 'collective';

/** Event types that share a fate, by kind, with a few of them. */
export type LocationPlanGroup = {
  readonly eventTypes: number;
  /** Zoom locations in them */
  readonly locations: number;
  readonly byKind: Readonly<
    Partial<Record<EventTypeKind, { readonly eventTypes: number; readonly locations: number }>>
  >;
  /** ids of event types */
  readonly examples: readonly string[];
};

/** What a run would do to locations; nothing everywhere but in the last three: a run would find nothing to do. */
export type LocationPlan = {
  readonly removed: LocationPlanGroup;
  /** of those removed: nothing is left, the event type is flagged */
  readonly leftWithoutLocation: LocationPlanGroup;
  /** of those removed: the fallback of the settings takes the place */
  readonly replacedByFallback: LocationPlanGroup;
  readonly restored: LocationPlanGroup;
  /** new event types that start with Zoom */
  readonly added: LocationPlanGroup;
  /** flags that go because somebody added a location */
  readonly unflagged: LocationPlanGroup;
  /** would be restored if a person accepted */
  readonly offered: LocationPlanGroup;
  /** under an assumption: round robin that keeps Zoom while some who can host now could not */
  readonly roundRobinLosingHosts: LocationPlanGroup;
  /** Zoom stays, and nobody can host */
  readonly unserved: LocationPlanGroup;
};

const categories = {
  remove: 'removed',
  no_location: 'leftWithoutLocation',
  fallback: 'replacedByFallback',
  restore: 'restored',
  add: 'added',
  unflag: 'unflagged',
  offered: 'offered',
  fewer_hosts: 'roundRobinLosingHosts',
  unserved: 'unserved',
} as const satisfies Record<string, keyof LocationPlan>;

const examplesKept = 5;

type Row = {
  category: keyof typeof categories;
  kind: EventTypeKind;
  eventTypes: number;
  locations: number;
  examples: string[];
};

export type LocationPlanRequest = {
  readonly organizationId: string;
  readonly adapter: LocationAdapter;
  readonly assume?: Assumption;
  /** what `findDoubtfulOf` said in this snapshot, where it was asked already; null: everybody who serves is looked at live */
  readonly doubtful?: readonly string[] | null;
  /** event types looked at by key in one statement; rows that do not fit are compared set against set where stored facts may be trusted */
  readonly pageSize?: number;
  /** for rows that do not fit, instead of going by the organization's share of the tables; the same either way */
  readonly wholeTables?: boolean;
};

/**
 * What reconciling an organization's locations would do, or would do under assumed facts: the preview of a
 * disconnect is `{ assume: { state: 'disconnecting' } }`. The same rules as the run; reads only, one snapshot.
 */
export function planLocations(db: Database, request: LocationPlanRequest): Promise<LocationPlan> {
  const { organizationId, adapter, assume, pageSize = 10_000, wholeTables = null } = request;
  return inSnapshot(db, async (trx) => {
    const doubtful =
      request.doubtful === undefined && adapter === 'rows'
        ? await findDoubtfulOf(trx, organizationId, assume)
        : (request.doubtful ?? null);
    const { rows } = await sql<Row>`
      select category, kind, event_types as "eventTypes", locations, examples
        from steward.plan_locations(${organizationId}, ${adapter}, ${assume ? JSON.stringify(assume) : null}::jsonb,
                                    ${pageSize}::integer, ${doubtful}::uuid[], ${wholeTables}::boolean)`.execute(trx);
    const plan = emptyPlan();
    for (const row of rows) {
      const name = categories[row.category];
      plan[name] = addPlanRow(plan[name], row);
    }
    return plan;
  });
}

/** A group without event types. */
export const emptyPlanGroup: LocationPlanGroup = { eventTypes: 0, locations: 0, byKind: {}, examples: [] };

function emptyPlan(): Record<keyof LocationPlan, LocationPlanGroup> {
  return {
    removed: emptyPlanGroup,
    leftWithoutLocation: emptyPlanGroup,
    replacedByFallback: emptyPlanGroup,
    restored: emptyPlanGroup,
    added: emptyPlanGroup,
    unflagged: emptyPlanGroup,
    offered: emptyPlanGroup,
    roundRobinLosingHosts: emptyPlanGroup,
    unserved: emptyPlanGroup,
  };
}

/** The group with the event types of one row of a plan. */
export function addPlanRow(
  group: LocationPlanGroup,
  { kind, eventTypes, locations, examples }: Omit<Row, 'category'>,
): LocationPlanGroup {
  const known = group.byKind[kind] ?? { eventTypes: 0, locations: 0 };
  return {
    eventTypes: group.eventTypes + eventTypes,
    locations: group.locations + locations,
    byKind: {
      ...group.byKind,
      [kind]: { eventTypes: known.eventTypes + eventTypes, locations: known.locations + locations },
    },
    examples: [...group.examples, ...examples].slice(0, examplesKept),
  };
}
