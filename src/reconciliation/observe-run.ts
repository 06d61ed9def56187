import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import { planOrganization } from './plan.ts';
import { getRun, markRunEnded, type Run, type RunLease } from './run-record.ts';

/** Whether a run has written anything: it stands inside a phase, or has left one. A pause notes its reason in the phase that waits. */
const hasBegun = ({ cursor, phase, progress }: Run): boolean =>
  cursor !== null || Object.keys(progress).some((known) => known !== phase);

/**
 * A run under observe: the plan is computed and kept with the run, nothing else is written. A run that had begun
 * to write, and a cascade, wait instead: half of them would be shown as the whole.
 */
export async function observeRun(db: Database, lease: RunLease): Promise<'done' | 'paused' | 'superseded'> {
  const run = await getRun(db, lease.runId);
  if (run.cascade || hasBegun(run)) return 'paused';
  const plan = await planOrganization(db, run.organizationId);
  return db.transaction().execute(async (trx) => {
    if (!(await markRunEnded(trx, lease, { state: 'done', plan }))) return 'superseded';
    await insertEvent(trx, {
      organizationId: run.organizationId,
      type: 'run.observed',
      subjectId: run.id,
      data: { cause: run.cause, members: plan.members.summary },
    });
    return 'done';
  });
}
