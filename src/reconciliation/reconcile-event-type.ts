import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { hasCounts, prefixCounts } from './counts.ts';
import { insertSingleRun } from './insert-single-run.ts';
import { reconcileEventTypes } from './locations-apply.ts';
import { lockEventTypes, shareOrganization } from './locks.ts';
import { getOrganizationFacts } from './organization-facts.ts';
import type { SingleRunRequest, SingleRunResult } from './reconcile-member.ts';
import { findStop } from './stops.ts';

/** Brings the locations of one event type up to date, in one transaction. A run is recorded only if something was written. */
export async function reconcileEventType(
  db: Database,
  eventTypeId: string,
  { cause, actor, adapter = 'rows' }: SingleRunRequest,
): Promise<SingleRunResult> {
  const { rows } = await sql<{ organizationId: string }>`
    select organization_id as "organizationId" from steward_app.event_types where id = ${eventTypeId}`.execute(db);
  const organizationId = rows[0]?.organizationId;
  if (organizationId === undefined) return { state: 'unknown', counts: {} };
  return db.transaction().execute(async (trx): Promise<SingleRunResult> => {
    await shareOrganization(trx, organizationId);
    await lockEventTypes(trx, [eventTypeId]);
    const facts = await getOrganizationFacts(trx, organizationId);
    const stop = await findStop(trx, facts);
    if (stop) return { state: stop === 'pause' ? 'paused' : 'observed', counts: {} };
    const runId = randomUUID();
    const counts = prefixCounts(
      'locations',
      await reconcileEventTypes(trx, { organizationId, eventTypeIds: [eventTypeId], runId, adapter }),
    );
    if (!hasCounts(counts)) return { state: 'unchanged', counts };
    await insertSingleRun(trx, { id: runId, target: 'event_type', targetId: eventTypeId, facts, cause, actor, counts });
    return { state: 'written', counts };
  });
}
