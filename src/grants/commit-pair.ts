import { type Kysely, sql } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { Secret } from '../secret.ts';
import { beCareful } from './careful-transaction.ts';
import type { GrantState, Tokens } from './grant-repository.ts';
import type { Attempt } from './refresh-attempt-repository.ts';
import { apiBaseOf, expiresInS, knownScopes, type TrustedApi } from './token-facts.ts';
import type { Vault } from './vault.ts';
import { notifyGrant } from './wake.ts';

export type Committed =
  /** our version was gone: a newer consent replaced the pair */
  | { readonly kind: 'stale' }
  /** an earlier try had committed without our hearing of it */
  | { readonly kind: 'already' }
  | {
      readonly kind: 'committed';
      readonly version: number;
      readonly previousState: GrantState;
      readonly previousScopes: readonly string[];
    };

export type PairToCommit = {
  readonly attempt: Attempt;
  readonly tokens: Tokens;
  /** the refresh token that was sent: kept if Zoom gave no new one */
  readonly sentRefresh: Secret;
  /** milliseconds since the answer came; the database may have been away */
  readonly ageMs: number;
  readonly api: TrustedApi;
};

/**
 * Step 5 of lifecycle §3: stores what Zoom gave us, whatever state the grant or connection has by now; the only
 * condition is that the version is still the one that was sent. A success proves that the grant lives: it ends a
 * suspicion of this version, and a death that was declared while the answer was on its way.
 */
export async function commitPair(db: Kysely<DB>, vault: Vault, pair: PairToCommit): Promise<Committed> {
  const { attempt, tokens } = pair;
  const version = attempt.version + 1;
  const place = { table: 'grants', id: attempt.grantId, clientId: attempt.clientId, version } as const;
  const sealedAccess = vault.seal(tokens.accessToken, { ...place, column: 'sealed_access' });
  const sealedRefresh = vault.seal(tokens.refreshToken ?? pair.sentRefresh, { ...place, column: 'sealed_refresh' });
  const leftS = Math.max(0, expiresInS(tokens.expiresInS) - pair.ageMs / 1000);
  return await db.transaction().execute(async (trx): Promise<Committed> => {
    await beCareful(trx);
    const grant = await trx
      .selectFrom('steward.grants')
      .select(['version', 'state', 'scopes'])
      .where('id', '=', attempt.grantId)
      .forUpdate()
      .executeTakeFirst();
    const held = await trx
      .selectFrom('steward.refresh_attempts')
      .select('outcome')
      .where('id', '=', attempt.id)
      .executeTakeFirst();
    if (held?.outcome === 'rotated') return { kind: 'already' };
    const fits = grant?.version === attempt.version;
    await sql`
      update steward.refresh_attempts
         set outcome = 'rotated', ended_at = steward.now(), next_at = steward.now(),
             detail = ${!fits ? 'stale' : tokens.refreshToken ? 'pair' : 'no_refresh_token'}
       where id = ${attempt.id}`.execute(trx);
    if (fits) {
      await sql`
        update steward.grants
           set version = ${version}, sealed_access = ${sealedAccess}, sealed_refresh = ${sealedRefresh}, key_id = ${vault.activeKeyId},
               access_expires_at = steward.now() + ${leftS}::float8 * interval '1 second', refreshed_at = steward.now() - ${pair.ageMs}::float8 * interval '1 millisecond',
               scopes = coalesce(${knownScopes(tokens.scopes)}::text[], scopes),
               api_base = coalesce(${apiBaseOf(tokens.apiUrl, pair.api)}, api_base),
               state = case when state in ('suspect', 'dead') then 'living' else state end,
               dead_reason = null, suspect_since = null, suspect_reason = null, second_look_at = null
         where id = ${attempt.grantId} and version = ${attempt.version}`.execute(trx);
    }
    await sql`
      update steward.grants set lease_token = null, lease_until = null
       where id = ${attempt.grantId} and lease_token = ${attempt.id}`.execute(trx);
    await notifyGrant(trx, attempt.grantId);
    return fits
      ? { kind: 'committed', version, previousState: grant.state, previousScopes: grant.scopes }
      : { kind: 'stale' };
  });
}
