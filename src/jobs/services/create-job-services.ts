import { sql } from 'kysely';
import type { ConnectionDeps } from '../../connections/connection-deps.ts';
import { finishOrganizationDisconnect } from '../../connections/finish-disconnect.ts';
import type { Database } from '../../db/database.ts';
import { advanceRun } from '../../reconciliation/advance-run.ts';
import type { GuardRail } from '../../reconciliation/guard-rail.ts';
import type { LocationAdapter } from '../../reconciliation/locations-adapter.ts';
import { previewDisconnect } from '../../reconciliation/preview-disconnect.ts';
import { reconcileEventType } from '../../reconciliation/reconcile-event-type.ts';
import { reconcileMember } from '../../reconciliation/reconcile-member.ts';
import type { SecondLane } from '../../reconciliation/second-lane.ts';
import type { JobServices } from './job-services.ts';
import { createLooks } from './looks.ts';

export type JobServicesDeps = {
  readonly connections: ConnectionDeps;
  readonly adapter: LocationAdapter;
  readonly guard: GuardRail;
  /** members or event types a chunk */
  readonly chunkSize: number;
  readonly chunkMs: number;
  /** none: runs work on one connection */
  readonly secondLane?: SecondLane;
  /** our share of Zoom's rate limits, from 0 to 1 */
  readonly zoomShare: number;
};

/** The Zoom account of a member whose hosting is `checking`: matched by address, and nobody has asked Zoom yet. */
async function findLookup(db: Database, memberId: string): Promise<string | null> {
  const { rows } = await sql<{ account: string }>`
    select connection.zoom_account_id as account
      from steward.member_connections stored
      join steward.org_connections connection using (organization_id)
     where stored.member_id = ${memberId} and stored.hosting = 'checking'
       and connection.state = 'active' and connection.zoom_account_id is not null
     limit 1`.execute(db);
  return rows[0]?.account ?? null;
}

/** The services of a real installation. */
export function createJobServices({
  connections,
  adapter,
  guard,
  chunkSize,
  chunkMs,
  secondLane,
  zoomShare,
}: JobServicesDeps): JobServices {
  const { db } = connections;
  return {
    advanceRun: (runId, { sliceMs, signal }) =>
      advanceRun(db, runId, { sliceMs, signal, adapter, guard, chunkSize, chunkMs, ...(secondLane && { secondLane }) }),
    reconcileMember: (memberId, why) => reconcileMember(db, memberId, { ...why, adapter }),
    findLookup: (memberId) => findLookup(db, memberId),
    reconcileEventType: (eventTypeId, why) => reconcileEventType(db, eventTypeId, { ...why, adapter }),
    previewDisconnect: async (organizationId) => {
      const preview = await previewDisconnect(db, { organizationId, adapter });
      const { membersLosingHosting, membersKeepingPersonal, bookingsDetached } = preview;
      return {
        membersLosingHosting,
        membersKeepingPersonal,
        locationsRemoved: preview.locationsRemoved.locations,
        eventTypesWithoutLocation: preview.eventTypesWithoutLocation.eventTypes,
        bookingsDetached,
      };
    },
    finishDisconnect: async (organizationId) => (await finishOrganizationDisconnect(db, organizationId)).outcome,
    ...createLooks({ connections, zoomShare }),
  };
}
