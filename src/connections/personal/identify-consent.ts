import { sql, type Transaction } from 'kysely';
import type { DB } from '../../db/schema.ts';
import { fileGrant } from '../../grants/grant-repository.ts';
import { releaseGrant } from '../../grants/release.ts';
import { tellConnections } from '../../grants/tell-connections.ts';
import { openPair, type TokenFacts } from '../candidate-pair.ts';
import { type ScopeNeed, unmetScopes } from '../expectations.ts';
import { activatePersonal, lockPersonal } from '../personal-connections.ts';
import { consentLifetimeMinutes, dropPair, endConsent, isOpen, lockConsent, type PersonalDeps } from './consents.ts';

/** What a member's own consent must let us do, in either spelling. */
const personalScopes: readonly ScopeNeed[] = [
  { call: 'read your user', anyOf: ['user:read', 'user:read:user'] },
  { call: 'create meetings', anyOf: ['meeting:write', 'meeting:write:meeting'] },
  { call: 'change meetings', anyOf: ['meeting:write', 'meeting:update:meeting'] },
  { call: 'delete meetings', anyOf: ['meeting:write', 'meeting:delete:meeting'] },
];

export type IdentifiedConsent =
  /** active, asking the member, or failed: filed either way */
  | 'identified'
  /** Zoom does not say who consented; asked again until its day is over */
  | 'unidentified'
  | 'settled';

type Me = {
  readonly accountId: string;
  readonly userId: string;
  readonly email: string | null;
};

/** Whether the address is the member's, as address keys compare; null: there is no such active member any more. */
async function isTheirs(trx: Transaction<DB>, memberId: string, email: string | null): Promise<boolean | null> {
  const { rows } = await sql<{ same: boolean | null }>`
    select steward.address_key(m.email) = steward.address_key(${email}::text) as same
      from steward_app.members m where m.id = ${memberId} and m.active`.execute(trx);
  return rows[0] === undefined ? null : (rows[0].same ?? false);
}

/**
 * Asks Zoom who consented and files the pair under that person's grant, whatever became of the consent meanwhile: Zoom
 * has ended the pair that was there before. It becomes the member's connection if the address is theirs; otherwise the
 * member is asked. Safe to run twice and at once.
 */
export async function identifyConsent(deps: PersonalDeps, consentId: string): Promise<IdentifiedConsent> {
  const { db, vault, api, endpoints, client } = deps;
  const row = await db
    .selectFrom('steward.personal_consents')
    .select(['id', 'sealed_access', 'sealed_refresh', 'token_facts'])
    .where('id', '=', consentId)
    .executeTakeFirst();
  if (!row || row.sealed_access === null) return 'settled';
  const pair = openPair({ vault, client, table: 'personal_consents' }, row);
  if (pair === null) return 'unidentified';
  const facts = row.token_facts as TokenFacts;
  const regional = facts.apiUrl !== null && endpoints.trustedApiBase(facts.apiUrl) ? facts.apiUrl : null;
  const asked = await api.me({ token: pair.accessToken, apiBase: regional ?? endpoints.apiBase });
  const declined = !asked.ok && asked.failure.kind === 'missing_scope';
  if (!asked.ok && !declined) return 'unidentified';
  const { accountId, id: userId, email } = asked.ok ? asked.value : { accountId: null, id: null, email: null };
  if (!declined && (accountId === null || userId === null)) return 'unidentified';
  const me: Me | null = accountId === null || userId === null ? null : { accountId, userId, email };

  return db.transaction().execute(async (trx): Promise<IdentifiedConsent> => {
    const consent = await lockConsent(trx, { id: consentId });
    if (!consent || consent.sealed_access !== row.sealed_access) return 'settled';
    if (me === null) {
      // Nobody can learn whose it is.
      await dropPair(trx, consentId);
      await endConsent(trx, consent, { state: 'failed', outcome: 'missing_scope', actor: 'zoom' });
      return 'identified';
    }
    // Before the Zoom account, as everybody else does.
    await lockPersonal(trx, consent.member_id);
    const { grantId } = await fileGrant(trx, vault, {
      ...{ client, zoomAccountId: me.accountId, zoomUserId: me.userId, zoomUserEmail: me.email },
      tokens: { kind: 'tokens', ...pair, scopes: facts.scopes, expiresInS: facts.expiresInS, apiUrl: facts.apiUrl },
      api: endpoints,
    });
    await trx
      .updateTable('steward.personal_consents')
      .set({
        ...{ grant_id: grantId, zoom_user_email: me.email },
        ...{ sealed_access: null, sealed_refresh: null, token_facts: null },
      })
      .where('id', '=', consentId)
      .execute();
    await tellConnections(trx, grantId);
    const { organization_id: organizationId, member_id: memberId } = consent;
    const filed = { ...consent, grant_id: grantId };
    if (!isOpen(consent.state)) {
      await releaseGrant(trx, { grantId, organizationId, actor: 'zoom', reason: `consent_${consent.state}` });
      return 'identified';
    }
    const fail = async (outcome: string): Promise<IdentifiedConsent> => {
      await endConsent(trx, filed, { state: 'failed', outcome, actor: 'zoom' });
      return 'identified';
    };
    if (unmetScopes(personalScopes, facts.scopes ?? []).length > 0) return fail('missing_scope');
    const theirs = await isTheirs(trx, memberId, me.email);
    if (theirs === null) return fail('member_gone');
    const actor = `member:${memberId}` as const;
    if (theirs) {
      await activatePersonal(trx, { memberId, grantId, actor });
      await endConsent(trx, filed, { state: 'done', outcome: 'connected', actor });
      return 'identified';
    }
    await trx
      .updateTable('steward.personal_consents')
      .set({ state: 'asking', expires_at: sql`steward.now() + ${consentLifetimeMinutes} * interval '1 minute'` })
      .where('id', '=', consentId)
      .execute();
    return 'identified';
  });
}
