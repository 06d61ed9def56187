import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi';
import { insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { Secret } from '../secret.ts';
import { applyTransition } from './apply-transition.ts';
import { findHeir, lockConnection, mayManage } from './authority.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { endLink } from './links.ts';
import { createRandomSecret, hashSecret } from './random-secret.ts';

/** How long the OAuth state of an attempt lives (behaviour §3.2). */
const stateLifetimeMinutes = 60;
/** Attempts on one link, over its whole life (behaviour §3.1). */
const attemptsAtMost = 10;

export type BeginResult =
  | {
      readonly kind: 'begun';
      readonly attemptId: string;
      /** where the browser goes next */
      readonly authorizeUrl: string;
      /** value of the cookie that binds the attempt to this browser; set it HttpOnly, Secure, SameSite=Lax */
      readonly browser: Secret;
    }
  | {
      readonly kind: 'refused';
      readonly why:
        | 'link_not_found'
        | 'link_not_open'
        | 'too_many_attempts'
        | 'attempt_returning'
        | 'issuer_lost_rights'
        | 'organization_gone'
        | 'plan_without_zoom';
    };

const refused = (why: Extract<BeginResult, { kind: 'refused' }>['why']): BeginResult => ({ kind: 'refused', why });

/** Link by its secret; locks connection, then link. */
async function lockLinkByToken(trx: Transaction<DB>, token: Secret) {
  const hash = hashSecret(token);
  const found = await trx
    .selectFrom('steward.connect_links')
    .select('connection_id')
    .where('token_hash', '=', hash)
    .executeTakeFirst();
  if (!found) return null;
  await lockConnection(trx, found.connection_id);
  return trx
    .selectFrom('steward.connect_links')
    .selectAll()
    .select(sql<boolean>`state = 'open' and expires_at > steward.now()`.as('usable'))
    .where('token_hash', '=', hash)
    .forUpdate()
    .executeTakeFirstOrThrow();
}

type LockedLink = NonNullable<Awaited<ReturnType<typeof lockLinkByToken>>>;

/**
 * Whether the link's issuer may still ask for a connection. If not, the link passes to an owner or admin, who is
 * told; with nobody left it is revoked (lifecycle §2).
 */
export async function issuerStillMay(trx: Transaction<DB>, link: LockedLink | IssuedLink): Promise<boolean> {
  if (link.issuer_member_id === null) return true;
  if (await mayManage(trx, link.organization_id, link.issuer_member_id)) return true;
  const heir = await findHeir(trx, link.organization_id);
  if (heir !== null) {
    await trx.updateTable('steward.connect_links').set({ issuer_member_id: heir }).where('id', '=', link.id).execute();
  } else {
    await endLink(trx, {
      linkId: link.id,
      connectionId: link.connection_id,
      organizationId: link.organization_id,
      state: 'revoked',
      actor: 'schedule',
    });
  }
  await applyTransition(trx, {
    connectionId: link.connection_id,
    event: 'issuer_lost_rights',
    actor: 'schedule',
    data: { linkId: link.id, formerIssuer: link.issuer_member_id, issuer: heir },
  });
  return false;
}

export type IssuedLink = {
  readonly id: string;
  readonly connection_id: string;
  readonly organization_id: string;
  readonly issuer_member_id: string | null;
};

async function refusalOf(trx: Transaction<DB>, link: LockedLink): Promise<BeginResult | null> {
  if (!link.usable) return refused('link_not_open');
  const organization = await trx
    .selectFrom('steward_app.organizations')
    .select('plan_includes_zoom')
    .where('id', '=', link.organization_id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (!organization) return refused('organization_gone');
  if (!organization.plan_includes_zoom) return refused('plan_without_zoom');
  if (!(await issuerStillMay(trx, link))) return refused('issuer_lost_rights');
  if (link.attempts >= attemptsAtMost) return refused('too_many_attempts');
  // Zoom does not send back people it refuses, so a started attempt must not block the next one for an hour: it is
  // void. One that has come back is being exchanged right now; it is left alone until its two minutes are over.
  const returning = await trx
    .selectFrom('steward.connect_attempts')
    .select('id')
    .where('link_id', '=', link.id)
    .where('state', '=', 'returned')
    .where('expires_at', '>', sql<Date>`steward.now()`)
    .executeTakeFirst();
  return returning ? refused('attempt_returning') : null;
}

/**
 * The button: begins an attempt on a link and says where the browser goes. PKCE S256; state and verifier come from
 * oauth4webapi, only the state's hash is stored and the verifier only sealed. An earlier attempt that has not come
 * back is void.
 * @param browser cookie this browser already has; a new one is made without it
 * @param sessionMemberId member signed in on the page, if anybody is
 */
export async function beginAttempt(
  deps: Pick<ConnectionDeps, 'db' | 'vault' | 'oauth' | 'client'>,
  request: { readonly token: Secret; readonly browser?: Secret | null; readonly sessionMemberId?: string | null },
): Promise<BeginResult> {
  const state = generateRandomState();
  const verifier = generateRandomCodeVerifier();
  const codeChallenge = await calculatePKCECodeChallenge(verifier);
  const browser = request.browser ?? createRandomSecret();
  const attemptId = randomUUID();
  const begun = await deps.db.transaction().execute(async (trx): Promise<BeginResult | null> => {
    const link = await lockLinkByToken(trx, request.token);
    if (!link) return refused('link_not_found');
    const refusal = await refusalOf(trx, link);
    if (refusal) return refusal;
    await sql`
      update steward.connect_attempts
         set state = 'void', outcome = 'another_began', sealed_verifier = null, ended_at = steward.now()
       where link_id = ${link.id} and state in ('started', 'returned')`.execute(trx);
    await trx
      .updateTable('steward.connect_links')
      .set({ attempts: link.attempts + 1 })
      .where('id', '=', link.id)
      .execute();
    const sealed = deps.vault.seal(new Secret(verifier), {
      table: 'connect_attempts',
      column: 'sealed_verifier',
      id: attemptId,
      clientId: deps.client.clientId,
      version: 0,
    });
    await sql`
      insert into steward.connect_attempts
        (id, link_id, state, state_hash, browser_hash, session_member_id, sealed_verifier, expires_at, created_at)
      values (${attemptId}, ${link.id}, 'started', ${hashSecret(new Secret(state))}, ${hashSecret(browser)},
              ${request.sessionMemberId ?? null}, ${sealed},
              steward.now() + ${stateLifetimeMinutes} * interval '1 minute', steward.now())`.execute(trx);
    await insertAudit(trx, {
      organizationId: link.organization_id,
      actor: request.sessionMemberId ? `member:${request.sessionMemberId}` : 'zoom',
      action: 'connection.attempt_begun',
      subjectId: link.connection_id,
      data: { linkId: link.id, attemptId, attempt: link.attempts + 1 },
    });
    return null;
  });
  if (begun) return begun;
  return {
    kind: 'begun',
    attemptId,
    browser,
    authorizeUrl: deps.oauth.authorizeUrl(deps.client, { state, codeChallenge }),
  };
}
