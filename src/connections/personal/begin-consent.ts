import { sql } from 'kysely';
import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi';
import { Secret } from '../../secret.ts';
import { createRandomSecret, hashSecret } from '../random-secret.ts';
import { consentLifetimeMinutes, lockConsent, type PersonalDeps } from './consents.ts';

const attemptsAtMost = 10;

export type BeginConsent =
  | { readonly kind: 'begun'; readonly authorizeUrl: string; readonly browser: Secret }
  | { readonly kind: 'refused'; readonly why: 'link_not_found' | 'consent_not_open' | 'too_many_attempts' };

const refused = (why: Extract<BeginConsent, { kind: 'refused' }>['why']): BeginConsent => ({ kind: 'refused', why });

/**
 * The member's button: says where the browser goes, with state and PKCE as for an organization. Pressed again before
 * anybody came back it begins anew: Zoom does not send back whom it refuses.
 */
export async function beginConsent(
  deps: PersonalDeps,
  request: { readonly token: Secret; readonly browser?: Secret | null },
): Promise<BeginConsent> {
  const state = generateRandomState();
  const verifier = generateRandomCodeVerifier();
  const codeChallenge = await calculatePKCECodeChallenge(verifier);
  const browser = request.browser ?? createRandomSecret();
  const refusal = await deps.db.transaction().execute(async (trx): Promise<BeginConsent | null> => {
    const consent = await lockConsent(trx, { tokenHash: hashSecret(request.token) });
    if (!consent) return refused('link_not_found');
    if ((consent.state !== 'open' && consent.state !== 'started') || consent.expired)
      return refused('consent_not_open');
    if (consent.attempts >= attemptsAtMost) return refused('too_many_attempts');
    const place = { table: 'personal_consents', column: 'sealed_verifier', id: consent.id } as const;
    const sealed = deps.vault.seal(new Secret(verifier), { ...place, clientId: deps.client.clientId, version: 0 });
    await trx
      .updateTable('steward.personal_consents')
      .set({
        ...{ state: 'started', attempts: consent.attempts + 1, client_id: deps.client.clientId },
        ...{ state_hash: hashSecret(new Secret(state)), browser_hash: hashSecret(browser), sealed_verifier: sealed },
        expires_at: sql`steward.now() + ${consentLifetimeMinutes} * interval '1 minute'`,
      })
      .where('id', '=', consent.id)
      .execute();
    return null;
  });
  if (refusal) return refusal;
  return { kind: 'begun', browser, authorizeUrl: deps.oauth.authorizeUrl(deps.client, { state, codeChallenge }) };
}
