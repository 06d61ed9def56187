import { tellAgingConsents } from '../../connections/aging-consents.ts';
import { watchDeadlines } from '../../connections/deadline.ts';
import { deleteUnusedDirectories, expireLinks } from '../../connections/due-work.ts';
import { expireCandidates } from '../../connections/expire-candidates.ts';
import { releaseUndoneGrants } from '../../connections/finish-disconnect.ts';
import { expireConsents, listUnnamedConsents } from '../../connections/personal/consents.ts';
import { settlePersonalConnections } from '../../connections/personal-connections.ts';
import { endGoneOrganizations, watchPlans } from '../../connections/plan-and-organization.ts';
import { remindLinks } from '../../connections/remind-links.ts';
import { nameStuckCascades } from '../../connections/stuck-cascades.ts';
import { forgetWebhooks, tellSilentApps } from '../../connections/webhook-sources.ts';
import type { Database } from '../../db/database.ts';
import { pruneArchivedLocations } from '../../reconciliation/locations-restore.ts';
import {
  findCandidatesDue,
  findDirectoriesDue,
  findGrantsDue,
  findUnusedPersonalGrants,
  findVerificationsDue,
} from './looks-due.ts';
import { oweEach } from './owe.ts';
import { remindDeadlines } from './remind-deadlines.ts';
import { findFullPassesDue, findRunsLeftBehind, findUnfinishedDisconnects } from './runs-due.ts';
import { seldom } from './seldom.ts';
import type { UpkeepTask } from './upkeep-task.ts';

const archivesAtOnce = 5_000;
const endedAtOnce = 100;
const directoriesAtOnce = 1_000;
const personalAtOnce = 200;

const counted =
  (task: (db: Database) => Promise<number>): UpkeepTask =>
  async (db) => ({ found: await task(db) });

/**
 * What the tick looks for: rows whose time has come, or whose job got lost. None of them calls Zoom: what needs Zoom
 * is owed as a job.
 */
export const upkeepTasks: Readonly<Record<string, UpkeepTask>> = Object.freeze({
  deadlines_started: counted(watchDeadlines),
  deadlines_reminded: remindDeadlines,
  verifications_due: findVerificationsDue,
  grants_due: (db) => findGrantsDue(db),
  personal_grants_unused: seldom('personal_grants_unused', personalAtOnce, findUnusedPersonalGrants),
  candidates_due: findCandidatesDue,
  candidates_expired: counted((db) => expireCandidates({ db })),
  links_expired: counted(async (db) => {
    const { links, attempts } = await expireLinks(db);
    return links + attempts;
  }),
  consents_due: async (db) => oweEach(db, 'verify-admin-role', 'consentId', await listUnnamedConsents(db)),
  consents_expired: counted((db) => expireConsents(db)),
  links_reminded: counted((db) => remindLinks(db)),
  organizations_gone: seldom('organizations_gone', endedAtOnce, endGoneOrganizations),
  plans_ended: seldom('plans_ended', endedAtOnce, watchPlans),
  runs_left_behind: findRunsLeftBehind,
  unfinished_disconnects: findUnfinishedDisconnects,
  cascades_stuck: counted((db) => nameStuckCascades(db)),
  grants_released: counted(releaseUndoneGrants),
  consents_aging: counted((db) => tellAgingConsents(db)),
  personal_connections_settled: counted((db) => settlePersonalConnections(db)),
  directories_due: findDirectoriesDue,
  directories_deleted: seldom('directories_deleted', directoriesAtOnce, deleteUnusedDirectories),
  full_passes_due: findFullPassesDue,
  webhooks_silent: counted(tellSilentApps),
  webhooks_forgotten: counted(forgetWebhooks),
  archives_pruned: counted((db) =>
    db.transaction().execute((trx) => pruneArchivedLocations(trx, { limit: archivesAtOnce })),
  ),
});
