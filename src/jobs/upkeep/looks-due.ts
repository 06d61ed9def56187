import { listEndedDeadlines } from '../../connections/deadline.ts';
import { listDueCandidates, listDueVerifications, listStaleDirectories } from '../../connections/due-work.ts';
import type { Database } from '../../db/database.ts';
import { listDueGrants } from '../../grants/grant-repository.ts';
import type { UpkeepResult } from '../services/job-services.ts';
import { oweEach } from './owe.ts';

const atOnce = 500;

/** Connections whose scheduled verification has come, or whose deadline is over. */
export async function findVerificationsDue(db: Database): Promise<UpkeepResult> {
  const due = [...(await listDueVerifications(db, atOnce)), ...(await listEndedDeadlines(db, atOnce))];
  return oweEach(db, 'verify-admin-role', 'connectionId', due);
}

/** Candidates whose next look is due, in case the job that was to take it got lost. */
export async function findCandidatesDue(db: Database): Promise<UpkeepResult> {
  return oweEach(db, 'verify-admin-role', 'candidateId', await listDueCandidates(db, atOnce));
}

/** Zoom accounts whose copy of the users is old. */
export async function findDirectoriesDue(db: Database): Promise<UpkeepResult> {
  return oweEach(db, 'sync-zoom-directory', 'zoomAccountId', await listStaleDirectories(db, { limit: atOnce }));
}

/** Grants under suspicion whose second look has come, refreshes whose outcome nobody knows, and grants that retire. */
export async function findGrantsDue(db: Database): Promise<UpkeepResult> {
  const due = await listDueGrants(db, atOnce);
  return oweEach(
    db,
    'verify-admin-role',
    'grantId',
    due.map((grant) => grant.id),
  );
}
