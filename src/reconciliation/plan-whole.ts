import type { Database } from '../db/database.ts';
import { findDoubtfulOf } from './doubtful-members.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { type LocationPlan, planLocations } from './locations-plan.ts';
import type { Assumption } from './organization-facts.ts';
import { type OrganizationPlan, planOrganization } from './plan.ts';
import { inSnapshot } from './snapshot.ts';

/** What a run would do: to members, bookings and locations. */
export type FullPlan = OrganizationPlan & { readonly locations: LocationPlan };

/** Plans an organization whole, as it is or as somebody assumes it to be. Writes nothing. */
export async function planWhole(
  db: Database,
  organizationId: string,
  { adapter, assume }: { readonly adapter: LocationAdapter; readonly assume?: Assumption },
): Promise<FullPlan> {
  // One snapshot for both: members and their locations must not be of different moments.
  return inSnapshot(db, async (trx) => {
    const doubtful = await findDoubtfulOf(trx, organizationId, assume);
    const assumed = { doubtful, ...(assume ? { assume } : {}) };
    return {
      ...(await planOrganization(trx, organizationId, assumed)),
      locations: await planLocations(trx, { organizationId, adapter, ...assumed }),
    };
  });
}

/** How many things a run would write; 0: it would find nothing to do. */
export function changesOf({ members, bookings, locations }: FullPlan): number {
  const { removed, restored, added, unflagged } = locations;
  return (
    members.summary.changes +
    bookings.detached +
    bookings.attached +
    removed.eventTypes +
    restored.eventTypes +
    added.eventTypes +
    unflagged.eventTypes
  );
}

/** What a plan takes: the larger of members who lose Zoom and locations that go, for --max-removals. */
export const removalsOf = ({ guard, locations }: FullPlan): number => Math.max(guard.lost, locations.removed.locations);
