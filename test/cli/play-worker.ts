import type { Database } from '../../src/db/database.ts';
import { advanceRun } from '../../src/reconciliation/advance-run.ts';

/** Does what a worker does with runs of organizations, in this process, until stopped. */
export function playWorker(db: Database): { stop(): Promise<void> } {
  let going = true;
  const work = async (): Promise<void> => {
    while (going) {
      const owed = await db
        .selectFrom('steward.runs')
        .select('id')
        .where('target', '=', 'organization')
        .where('state', 'in', ['queued', 'running'])
        .execute();
      for (const { id } of owed) await advanceRun(db, id, { sliceMs: 50, chunkSize: 40 });
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const working = work();
  return {
    async stop() {
      going = false;
      await working;
    },
  };
}
