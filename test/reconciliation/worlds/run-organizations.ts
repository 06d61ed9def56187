import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import { advanceRun, type Slice } from '../../../src/reconciliation/advance-run.ts';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import { organizationOf } from './world-ids.ts';

export type RunRequest = { readonly key: string; readonly adapter: LocationAdapter };

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
  const work = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const run = runs.get(organizationOf(next.key));
      if (!run) throw new Error(`no run for ${next.key}`);
      results.set(next.key, await advanceRun(db, run, { adapter: next.adapter, sliceMs: 60_000 }));
    }
  };
  await Promise.all([work(), work(), work()]);
  await sql`update steward.runs set state = 'superseded' where state in ('queued', 'running', 'held')`.execute(db);
  return results;
}
