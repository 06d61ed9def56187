import { type Kysely, sql } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { deleteSecrets } from './release.ts';
import { tellConnections } from './tell-connections.ts';

export type AbandonedKey = {
  /** grants that are dead now, named `key_lost` */
  readonly dead: number;
  /** retiring or dead ones whose secrets were deleted */
  readonly deleted: number;
  /** consents that have to be given again */
  readonly consents: number;
};

const batch = 200;

/**
 * Gives up what a lost key seals: its grants are dead of our own doing, their connections look, and consents under way
 * end. What is sealed is deleted: nobody can open it. May end at any grant and begin again.
 */
export async function abandonKey(
  db: Kysely<DB>,
  { keyId, actor, reason }: { readonly keyId: string; readonly actor: Actor; readonly reason: string },
): Promise<AbandonedKey> {
  let dead = 0;
  let deleted = 0;
  for (let more = true; more; ) {
    more = await db.transaction().execute(async (trx) => {
      await sql`set local synchronous_commit = on`.execute(trx);
      const { rows } = await sql<{ id: string; state: string; organizationId: string | null; zoomAccountId: string }>`
        select id, state, release_organization_id as "organizationId", zoom_account_id as "zoomAccountId"
          from steward.grants where key_id = ${keyId} order by id limit ${batch} for update`.execute(trx);
      for (const { id, state, organizationId, zoomAccountId } of rows) {
        if (state === 'living' || state === 'suspect') {
          await sql`update steward.grants set state = 'dead', dead_reason = 'key_lost' where id = ${id}`.execute(trx);
          await insertAudit(trx, {
            organizationId: null,
            actor,
            action: 'grant.dead',
            reason: 'key_lost',
            subjectId: id,
          });
          dead += 1;
        } else deleted += 1;
        await deleteSecrets(trx, id, { outcome: 'grant_not_revoked', organizationId, zoomAccountId, actor });
        if (state !== 'retiring') await tellConnections(trx, id);
      }
      return rows.length === batch;
    });
  }
  return await db.transaction().execute(async (trx): Promise<AbandonedKey> => {
    const candidates = await sql`
      update steward.candidates set sealed_access = null, sealed_refresh = null, token_facts = null, expires_at = steward.now()
       where split_part(sealed_access, '.', 2) = ${keyId}`.execute(trx);
    const attempts = await sql`
      update steward.connect_attempts set sealed_verifier = null where split_part(sealed_verifier, '.', 2) = ${keyId}`.execute(
      trx,
    );
    const personal = await sql`
      update steward.personal_consents
         set sealed_access = null, sealed_refresh = null, sealed_verifier = null, token_facts = null, expires_at = steward.now()
       where ${keyId} in (split_part(sealed_access, '.', 2), split_part(sealed_verifier, '.', 2))`.execute(trx);
    const consents = [candidates, attempts, personal].reduce(
      (sum, ended) => sum + Number(ended.numAffectedRows ?? 0n),
      0,
    );
    const data = { keyId, dead, deleted, consents };
    await insertAudit(trx, { organizationId: null, actor, action: 'key.abandoned', reason, data });
    return { dead, deleted, consents };
  });
}
