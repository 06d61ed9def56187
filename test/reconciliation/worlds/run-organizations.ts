import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { DB } from '../../../src/db/schema.ts';
import { advanceRun, type Slice } from '../../../src/reconciliation/advance-run.ts';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import { reconcileEventTypes } from '../../../src/reconciliation/locations-apply.ts';
import type { World } from '../../../src/reconciliation/oracle-world.ts';
import { createSecondLane } from '../../../src/reconciliation/second-lane.ts';
import { idOf, organizationOf } from './world-ids.ts';

export type RunRequest = { readonly key: string; readonly adapter: LocationAdapter };

/** One world of so many is played a few keys at a time and, where it is large enough, on two lanes. */
const byTwoLanes = 24;

/**
 * A whole run for each organization, as the queue would work it off, a few at a time. Approved beforehand: worlds
 * take Zoom from more members than the guard rail lets pass.
 * @returns how each ended, by world
 */
export async function runOrganizations(db: Database, requests: readonly RunRequest[]): Promise<Map<string, Slice>> {
  const organizations = requests.map(({ key }) => organizationOf(key));
  const { rows } = await sql<{ organization: string; run: string }>`
    insert into steward.runs (id, target, organization_id, target_id, connection_id, generation, cause, actor, cascade, state, approved_by, created_at)
    select gen_random_uuid(), 'organization', o.id, o.id, c.id, coalesce(c.generation, 0), 'operator', 'operator:test',
           coalesce(c.state = 'disconnecting', false), 'queued', 'operator:test', steward.now()
      from unnest(${organizations}::uuid[]) as o (id) left join steward.org_connections c on c.organization_id = o.id
    returning organization_id as organization, id as run`.execute(db);
  const runs = new Map(rows.map(({ organization, run }) => [organization, run]));
  const results = new Map<string, Slice>();
  const waiting = [...requests];
  const secondLane = createSecondLane(db);
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const run = runs.get(organizationOf(next.key));
      if (!run) throw new Error(`no run for ${next.key}`);
      // In every third world there is more than one chunk of members: only the doubtful ones among them are looked at.
      const chunkSize = waiting.length % 3 === 1 ? 40 : 5_000;
      const lanes = waiting.length % byTwoLanes === 0 ? { chunkSize: 6, secondLane } : { chunkSize };
      // On a loaded machine somebody may wait for a lock long enough that a slice gives way.
      let slice: Slice;
      do slice = await advanceRun(db, run, { adapter: next.adapter, sliceMs: 60_000, ...lanes });
      while (slice.state === 'more');
      results.set(next.key, slice);
    }
  };
  await Promise.all([work(), work(), work()]);
  await sql`update steward.runs set state = 'superseded' where state in ('queued', 'running', 'held')`.execute(db);
  return results;
}

/**
 * A look at every event type by its id, as the runs of members and event types take, and taken back at once.
 * @returns what there was still to do, by world
 */
export async function lookAgain(
  db: Database,
  worlds: readonly (RunRequest & { readonly world: World })[],
): Promise<string[]> {
  const found: string[] = [];
  for (const { key, adapter, world } of worlds) {
    const request = { organizationId: organizationOf(key), adapter, runId: randomUUID() };
    const eventTypeIds = world.eventTypes.map(({ id }) => idOf(key, id));
    const trx = await db.startTransaction().execute();
    try {
      const counts = await reconcileEventTypes(trx as Transaction<DB>, { ...request, eventTypeIds });
      if (Object.values(counts).some((count) => count > 0))
        found.push(`a look after the run: ${key} (${adapter}): ${JSON.stringify(counts)}`);
    } finally {
      await trx.rollback().execute();
    }
  }
  return found;
}
