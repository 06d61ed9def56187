import { listDueReminders, remindDeadline } from '../../connections/remind-deadline.ts';
import type { Database } from '../../db/database.ts';
import type { JobServices, UpkeepResult } from '../services/job-services.ts';

/** Reminds owners of deadlines that come near, of interruptions and of plans without Zoom, with what the preview of a disconnect says now. */
export async function remindDeadlines(
  db: Database,
  { previewDisconnect }: Pick<JobServices, 'previewDisconnect'>,
): Promise<UpkeepResult> {
  let found = 0;
  for (const due of await listDueReminders(db))
    if (await remindDeadline(db, due, await previewDisconnect(due.organizationId))) found += 1;
  return { found };
}
