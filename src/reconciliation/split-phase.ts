import type { Database } from '../db/database.ts';
import { findMiddle } from './find-middle.ts';
import { insertLane } from './run-lanes.ts';
import { phases } from './run-phases.ts';
import { getRun, lockRun, markRunProgress, type PhaseProgress, type RunLease } from './run-record.ts';

/** A phase is split while so many chunks are left; fewer are not worth another transaction. */
const leastChunks = 4;

/** Whether enough may be left, by what is known without asking. */
export const splittable = ({ done, total, chunk }: PhaseProgress, limit: number): boolean =>
  total === null || total - done >= leastChunks * (chunk ?? limit);

/**
 * Splits the phase a run stands in, in the middle of what is left. The middle is looked for outside the organization's lock, as a
 * question of size: any key behind the cursor would do, and the cursor is this lease's.
 */
export async function splitPhase(db: Database, lease: RunLease, chunkSize: number): Promise<void> {
  const run = await getRun(db, lease.runId);
  const { phase, cursor, organizationId } = run;
  if (phase === 'done' || cursor === null) return;
  const { done, total, chunk = chunkSize, nothingGoes = false } = run.progress[phase] ?? { done: 0, total: null };
  const keys = phases[phase].keys?.({ mayGo: !nothingGoes });
  if (!keys) return;
  const left = total === null ? null : total - done;
  const middle = await db
    .transaction()
    .execute((trx) => findMiddle(trx, keys, { organizationId, after: cursor, left, least: leastChunks * chunk }));
  if (middle === null) return;
  await db.transaction().execute(async (trx) => {
    const now = await lockRun(trx, lease);
    const progress = now?.progress[phase];
    if (!now || !progress || now.phase !== phase || now.cursor !== cursor) return;
    await insertLane(trx, now, middle);
    await markRunProgress(trx, lease, { ...now, progress: { ...now.progress, [phase]: { ...progress, split: true } } });
  });
}
