import type { Kysely } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { beginBeside } from './beside.ts';
import { findDoubtfulOf, hasMoreFacts, planPageSize } from './doubtful-members.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { type LocationPlan, planLocations } from './locations-plan.ts';
import type { Assumption } from './organization-facts.ts';
import { type OrganizationPlan, planOrganization } from './plan.ts';
import { inSnapshot } from './snapshot.ts';

/** What a run would do: to members, bookings and locations. */
export type FullPlan = OrganizationPlan & { readonly locations: LocationPlan };

export type FullPlanOptions = {
  readonly adapter: LocationAdapter;
  readonly assume?: Assumption;
  /** with more members stored than these, the halves of the plan are made side by side; the same either way */
  readonly besideFrom?: number;
};

/**
 * Plans an organization whole, as it is or as somebody assumes it to be. Writes nothing. One snapshot for both halves: members
 * and their locations must not be of different moments. Of a large organization the members are planned on a second
 * connection, if the pool has one; what goes wrong there is planned once more on one.
 */
export async function planWhole(
  db: Database,
  organizationId: string,
  { besideFrom = planPageSize, ...request }: FullPlanOptions,
): Promise<FullPlan> {
  const whose = { ...request, organizationId };
  if (db.isTransaction) return planAlone(db, whose);
  const { locations, members } = await inSnapshot(db, async (trx) => {
    const doubtful = await findDoubtfulOf(trx, organizationId, request.assume);
    const planMembers = (on: Kysely<DB>) => planOrganization(on, organizationId, { ...request, doubtful });
    const beside = (await hasMoreFacts(trx, organizationId, besideFrom))
      ? await beginBeside(db, { snapshotOf: trx }, planMembers)
      : undefined;
    // Whatever becomes of it is looked at below; what fails here waits for it, and leaves nothing under way.
    const members = beside?.result.catch(() => null);
    try {
      const locations = await planLocations(trx, { ...whose, doubtful });
      return { locations, members: members ? { beside: members } : { beside: null, own: await planMembers(trx) } };
    } catch (error) {
      await members;
      throw error;
    }
  });
  // Outside the transaction, which would idle meanwhile.
  const planned = members.beside ? await members.beside : members.own;
  return planned ? { ...planned, locations } : inSnapshot(db, (trx) => planAlone(trx, whose));
}

/** On one connection, one half after the other. The caller holds a snapshot. */
async function planAlone(
  trx: Kysely<DB>,
  whose: { readonly organizationId: string; readonly adapter: LocationAdapter; readonly assume?: Assumption },
): Promise<FullPlan> {
  const doubtful = await findDoubtfulOf(trx, whose.organizationId, whose.assume);
  return {
    ...(await planOrganization(trx, whose.organizationId, { ...whose, doubtful })),
    locations: await planLocations(trx, { ...whose, doubtful }),
  };
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
