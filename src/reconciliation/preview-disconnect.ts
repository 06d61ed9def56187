import type { Database } from '../db/database.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import type { LocationPlanGroup } from './locations-plan.ts';
import type { Assumption } from './organization-facts.ts';
import { planWhole } from './plan-whole.ts';

/** What a disconnect would do (behaviour §6), from the plan that the cascade follows. */
export type DisconnectPreview = {
  readonly organizationId: string;
  /** confirms a disconnect; an older one is refused as stale */
  readonly generation: number;
  readonly membersLosingHosting: number;
  readonly membersKeepingPersonal: number;
  readonly locationsRemoved: LocationPlanGroup;
  readonly eventTypesWithoutLocation: LocationPlanGroup;
  readonly fallbacksInserted: LocationPlanGroup;
  readonly roundRobinLosingHosts: LocationPlanGroup;
  readonly bookingsDetached: number;
};

type Whose = { readonly organizationId: string; readonly adapter: LocationAdapter };

/** Computes the preview in one snapshot and changes nothing. */
export const previewDisconnect = (db: Database, whose: Whose): Promise<DisconnectPreview> =>
  previewUnder(db, whose, { state: 'disconnecting' });

/** The same for settings as they would be: every change that takes Zoom from somebody is shown like a disconnect. */
export async function previewUnder(
  db: Database,
  { organizationId, adapter }: Whose,
  assume: Assumption,
): Promise<DisconnectPreview> {
  const { generation, members, bookings, locations } = await planWhole(db, organizationId, { adapter, assume });
  return {
    organizationId,
    generation,
    membersLosingHosting: members.summary.stopHosting,
    membersKeepingPersonal: members.summary.keepPersonal,
    locationsRemoved: locations.removed,
    eventTypesWithoutLocation: locations.leftWithoutLocation,
    fallbacksInserted: locations.replacedByFallback,
    roundRobinLosingHosts: locations.roundRobinLosingHosts,
    bookingsDetached: bookings.detached,
  };
}
