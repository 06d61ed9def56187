import { randomUUID } from 'node:crypto';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { TokenAnswer } from '../zoom/oauth.ts';
import { apiBaseOf, expiresInS, knownScopes, type TrustedApi } from './token-facts.ts';
import type { Vault } from './vault.ts';
import { notifyGrant } from './wake.ts';

export type GrantState = 'living' | 'suspect' | 'dead' | 'retiring' | 'gone';

/** Why a grant is dead. The last five are of our own making and named as ours, never as the customer's. */
export type DeadReason =
  | 'revoked'
  | 'user_removed'
  | 'app_uninstalled'
  | 'grant_expired'
  | 'refresh_lost'
  | 'key_lost'
  | 'app_changed'
  | 'restored'
  | 'import_refused';

export type Tokens = Extract<TokenAnswer, { kind: 'tokens' }>;

export type GrantToFile = {
  readonly client: { readonly kind: 'admin' | 'personal'; readonly clientId: string };
  readonly zoomAccountId: string;
  readonly zoomUserId: string;
  readonly zoomUserEmail: string | null;
  readonly tokens: Tokens;
  readonly api: TrustedApi;
};

export type FiledGrant = {
  readonly grantId: string;
  readonly version: number;
  /** what was there before; null: the pair is the first of this user */
  readonly previousState: GrantState | null;
};

/**
 * Serializes filing and releasing on one Zoom account of one client id: whether a grant may be revoked
 * depends on what else lives there. Held until the transaction ends.
 */
export async function lockZoomAccount(trx: Transaction<DB>, clientId: string, zoomAccountId: string): Promise<void> {
  const key = `grants:${JSON.stringify([clientId, zoomAccountId])}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`.execute(trx);
}

/**
 * Files what a consent brought under (client id, Zoom account, Zoom user). If we hold that person's grant, the
 * new pair replaces the old one at once, whatever its state was – Zoom has ended the old pair (lifecycle §2) –
 * and the grant lives again for every connection that points to it. A refresh of the old pair that is still on
 * its way cannot overwrite it: its version is gone.
 */
export async function fileGrant(trx: Transaction<DB>, vault: Vault, grant: GrantToFile): Promise<FiledGrant> {
  const { client, zoomAccountId, zoomUserId, tokens } = grant;
  await sql`set local synchronous_commit = on`.execute(trx);
  await lockZoomAccount(trx, client.clientId, zoomAccountId);
  const held = await trx
    .selectFrom('steward.grants')
    .select(['id', 'version', 'state'])
    .where('client_id', '=', client.clientId)
    .where('zoom_account_id', '=', zoomAccountId)
    .where('zoom_user_id', '=', zoomUserId)
    .forUpdate()
    .executeTakeFirst();
  const grantId = held?.id ?? randomUUID();
  const version = (held?.version ?? 0) + 1;
  const place = { table: 'grants', id: grantId, clientId: client.clientId, version } as const;
  const sealed = {
    access: vault.seal(tokens.accessToken, { ...place, column: 'sealed_access' }),
    refresh: tokens.refreshToken && vault.seal(tokens.refreshToken, { ...place, column: 'sealed_refresh' }),
  };
  const scopes = knownScopes(tokens.scopes) ?? [];
  await sql`
    insert into steward.grants as held
      (id, client_kind, client_id, zoom_account_id, zoom_user_id, zoom_user_email, state, version, sealed_access, sealed_refresh,
       key_id, access_expires_at, scopes, api_base, consented_at, refreshed_at)
    values (${grantId}, ${client.kind}, ${client.clientId}, ${zoomAccountId}, ${zoomUserId}, ${grant.zoomUserEmail}, 'living', ${version},
            ${sealed.access}, ${sealed.refresh}, ${vault.activeKeyId},
            steward.now() + ${expiresInS(tokens.expiresInS)} * interval '1 second', ${scopes}, ${apiBaseOf(tokens.apiUrl, grant.api) ?? grant.api.apiBase},
            steward.now(), steward.now())
    on conflict (client_id, zoom_account_id, zoom_user_id) do update
       set state = 'living', dead_reason = null, suspect_since = null, suspect_reason = null, second_look_at = null,
           version = excluded.version, sealed_access = excluded.sealed_access, sealed_refresh = excluded.sealed_refresh,
           key_id = excluded.key_id, access_expires_at = excluded.access_expires_at, scopes = excluded.scopes,
           api_base = excluded.api_base, consented_at = excluded.consented_at, refreshed_at = excluded.refreshed_at,
           zoom_user_email = coalesce(excluded.zoom_user_email, held.zoom_user_email),
           retire_until = null, release_organization_id = null, revoke_outcome = null, age_told_at = null, unproven = false`.execute(
    trx,
  );
  await notifyGrant(trx, grantId);
  return { grantId, version, previousState: held?.state ?? null };
}

/** A grant as lists and pages see it: no token in it. */
export type GrantSummary = {
  readonly id: string;
  readonly clientId: string;
  readonly zoomAccountId: string;
  readonly zoomUserId: string;
  readonly zoomUserEmail: string | null;
  readonly state: GrantState;
  readonly deadReason: DeadReason | null;
  readonly version: number;
  readonly scopes: readonly string[];
};

/** A grant without its tokens, by id. */
export async function findGrant(db: Kysely<DB>, grantId: string): Promise<GrantSummary | undefined> {
  return await db
    .selectFrom('steward.grants')
    .select([
      'id',
      'client_id as clientId',
      'zoom_account_id as zoomAccountId',
      'zoom_user_id as zoomUserId',
      'zoom_user_email as zoomUserEmail',
      'state',
      'dead_reason as deadReason',
      'version',
      'scopes',
    ])
    .where('id', '=', grantId)
    .executeTakeFirst();
}

export type DueGrant = { readonly id: string; readonly work: 'second_look' | 'retire' };

/**
 * Grants somebody must look at now, for the schedule: suspects whose second look is due, living ones whose last
 * refresh ended unknown or never, and retiring ones. In the order of their ids from behind `after`, and round: many
 * that cannot move just now – our application is refused, a candidate is unidentified – must not starve the others.
 */
export async function listDueGrants(db: Kysely<DB>, limit: number, after: string | null = null): Promise<DueGrant[]> {
  const { rows } = await sql<DueGrant>`
    select id, work from (
      select id, 'second_look' as work from steward.grants
       where state = 'suspect' and second_look_at <= steward.now()
      union all
      select id, 'retire' from steward.grants
       where state = 'retiring' and coalesce(second_look_at, '-infinity') <= steward.now()
      union all
      select g.id, 'second_look' from steward.refresh_attempts a
        join steward.grants g on g.id = a.grant_id and g.version = a.version and g.state = 'living'
       where (a.outcome is null or a.outcome = 'unknown')
       group by g.id having max(a.next_at) <= steward.now()) due
     order by coalesce(id > ${after}::uuid, true) desc, id limit ${limit}`.execute(db);
  return rows;
}
