import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/**
 * Ends the organization's open one-time run that adds Zoom, with what was done until now: somebody turned the setting off or
 * decided to disconnect, and whoever turns it on or connects again has not ordered it. An undo goes on in any state.
 */
export async function dropOneTimeRun(trx: Transaction<DB>, organizationId: string): Promise<void> {
  await sql`
    update steward.one_time_runs o set state = 'dropped', ended_at = steward.now(),
           event_types = (select count(*) from steward.zoom_starts s where s.one_time_run_id = o.id and s.state = 'added')
     where o.organization_id = ${organizationId} and o.state = 'open' and o.undoes is null`.execute(trx);
}
