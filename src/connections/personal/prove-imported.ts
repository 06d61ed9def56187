import { insertAudit } from '../../db/audit-repository.ts';
import type { Database } from '../../db/database.ts';
import type { AccessTokenOptions } from '../../grants/access-token.ts';
import { deleteSecrets, lockGrant } from '../../grants/release.ts';
import { tellConnections } from '../../grants/tell-connections.ts';
import type { ZoomAnswer } from '../../zoom/api.ts';
import type { ConnectionDeps } from '../connection-deps.ts';
import { settlePersonalConnections } from '../personal-connections.ts';

export type Proved =
  /** Zoom says that the pair is of the person it was filed under, or there is nothing to prove any more */
  | 'proven'
  /** it is of somebody else, or does not let us ask: it is dead as `import_refused`, and its member hears that it broke */
  | 'refused'
  /** Zoom did not say; asked again with the next use */
  | 'unknown';

type Named = { readonly zoomAccountId: string; readonly zoomUserId: string };

function judge(
  answer: ZoomAnswer<{ readonly id: string | null; readonly accountId: string | null }>,
  named: Named,
): Proved {
  if (!answer.ok) return answer.failure.kind === 'missing_scope' ? 'refused' : 'unknown';
  const { id, accountId } = answer.value;
  if (id === null) return 'unknown';
  return id === named.zoomUserId && (accountId ?? named.zoomAccountId) === named.zoomAccountId ? 'proven' : 'refused';
}

/**
 * Asks Zoom whose an imported pair is before anything else is done with it: the main app's store may have filed it under
 * the wrong person. Safe to run twice and at once; a consent that comes meanwhile proves the person by itself.
 */
export async function proveImported(
  { db, grants, api }: Pick<ConnectionDeps, 'db' | 'grants' | 'api'>,
  grantId: string,
  options: AccessTokenOptions = {},
): Promise<Proved> {
  const named = await db
    .selectFrom('steward.grants')
    .select(['zoom_account_id as zoomAccountId', 'zoom_user_id as zoomUserId'])
    .where('id', '=', grantId)
    .where('unproven', '=', true)
    .executeTakeFirst();
  if (!named) return 'proven';
  const asked = await grants.call(grantId, (auth) => api.me(auth), options);
  const proved = asked.kind === 'answer' ? judge(asked.answer, named) : 'unknown';
  if (proved === 'proven')
    await db
      .updateTable('steward.grants')
      .set({ unproven: false })
      .where('id', '=', grantId)
      .where('unproven', '=', true)
      .execute();
  if (proved !== 'refused') return proved;
  const ended = await refuse(db, grantId);
  if (ended) await settlePersonalConnections(db);
  return ended ? 'refused' : 'unknown';
}

/** False: a consent replaced the pair meanwhile. */
function refuse(db: Database, grantId: string): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const grant = await lockGrant(trx, grantId);
    const { numUpdatedRows } = await trx
      .updateTable('steward.grants')
      .set({ state: 'dead', dead_reason: 'import_refused', unproven: false })
      .where('id', '=', grantId)
      .where('unproven', '=', true)
      .where('state', 'in', ['living', 'suspect'])
      .executeTakeFirst();
    if (!grant || numUpdatedRows !== 1n) return false;
    const reason = 'import_refused';
    await insertAudit(trx, { organizationId: null, actor: 'zoom', action: 'grant.dead', reason, subjectId: grantId });
    // Not revoked: it is somebody's, who did nothing wrong.
    const { organizationId, zoomAccountId } = grant;
    const outcome = 'not_revoked: imported for another user';
    await deleteSecrets(trx, grantId, { outcome, organizationId, zoomAccountId, actor: 'zoom' });
    await tellConnections(trx, grantId);
    return true;
  });
}
