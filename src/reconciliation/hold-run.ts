import { sql } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import { StewardError } from '../errors.ts';
import type { GuardVerdict } from './guard-rail.ts';
import { getRun, markRunEnded, type RunLease } from './run-record.ts';

/** Stops a run that would take Zoom from too many, and tells. False: the run is no longer this lease's. */
export function holdRun(db: Database, lease: RunLease, verdict: GuardVerdict): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const { organizationId, cause } = await getRun(trx, lease.runId);
    if (!(await markRunEnded(trx, lease, { state: 'held', plan: { guard: verdict } }))) return false;
    const data = { cause, served: verdict.served, lost: verdict.lost };
    await insertEvent(trx, { organizationId, type: 'run.held', subjectId: lease.runId, data });
    await insertAudit(trx, { organizationId, actor: 'schedule', action: 'run.held', subjectId: lease.runId, data });
    return true;
  });
}

/**
 * Lets a held run pass the guard rail. It begins again at its facts, which may have changed while it waited.
 * @throws StewardError `run_not_held`
 */
export async function approveRun(
  db: Database,
  runId: string,
  { actor, reason }: { actor: Actor; reason: string },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { organizationId, state } = await getRun(trx, runId);
    const { numAffectedRows } = await sql`
      update steward.runs set state = 'queued', phase = 'facts', cursor = null, progress = '{}', approved_by = ${actor}
       where id = ${runId} and state = 'held'`.execute(trx);
    if (numAffectedRows !== 1n) {
      throw new StewardError(
        'run_not_held',
        `Expected a run that is held, got one that is ${state}; look at it with "runs show"`,
        {
          context: { runId, state },
        },
      );
    }
    await insertAudit(trx, { organizationId, actor, action: 'run.approved', reason, subjectId: runId });
    await insertOutbox(trx, { job: 'reconcile-organization', key: runId, payload: { organizationId, runId } });
  });
}
