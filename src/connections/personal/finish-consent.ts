import { sql } from 'kysely';
import { insertOutbox } from '../../db/outbox-repository.ts';
import { Secret } from '../../secret.ts';
import type { TokenAnswer } from '../../zoom/oauth.ts';
import { factsOf, sealPair } from '../candidate-pair.ts';
import type { CallbackRefusal } from '../consume-state.ts';
import { codeOf, exchangeCode, stateOf } from '../exchange-code.ts';
import { hashSecret } from '../random-secret.ts';
import { type Consent, endConsent, lockConsent, type PersonalDeps } from './consents.ts';
import { identifyConsent } from './identify-consent.ts';

/** While an exchange is on its way. */
const exchangeMinutes = 2;
/** Zoom is asked so long whose it is. */
const identityHours = 24;

export type FinishConsent =
  | { readonly kind: 'exchanged'; readonly consentId: string }
  | { readonly kind: 'refused'; readonly why: CallbackRefusal };

const refused = (why: CallbackRefusal): FinishConsent => ({ kind: 'refused', why });

/** Consumes the state: of any number of callbacks that carry it, one at most comes out with the verifier. */
async function consume(
  deps: PersonalDeps,
  state: string,
  browser: Secret | null,
): Promise<{ readonly consent: Consent; readonly verifier: Secret } | FinishConsent | null> {
  return deps.db.transaction().execute(async (trx) => {
    const consent = await lockConsent(trx, { stateHash: hashSecret(new Secret(state)) });
    if (!consent) return null;
    const end = async (outcome: CallbackRefusal, as: 'void' | 'expired' | 'failed' = 'void') => {
      await endConsent(trx, consent, { state: as, outcome, actor: 'zoom' });
      return refused(outcome);
    };
    if (consent.state === 'void' || consent.state === 'expired') return refused('attempt_void');
    if (consent.state !== 'started') return refused('already_used');
    if (consent.expired) return end('attempt_expired', 'expired');
    // A code that went through another browser is burnt: it may have been planted there.
    if (browser === null || !consent.browser_hash?.equals(hashSecret(browser))) return end('other_browser');
    const place = { table: 'personal_consents', column: 'sealed_verifier', id: consent.id } as const;
    const opened = deps.vault.open(consent.sealed_verifier ?? '', {
      ...place,
      clientId: consent.client_id,
      version: 0,
    });
    if (!opened.ok) return end('verifier_unreadable', 'failed');
    await trx
      .updateTable('steward.personal_consents')
      .set({
        ...{ state: 'returned', sealed_verifier: null },
        expires_at: sql`steward.now() + ${exchangeMinutes} * interval '1 minute'`,
      })
      .where('id', '=', consent.id)
      .execute();
    return { consent, verifier: opened.secret };
  });
}

/** Stores what the exchange brought, sealed, before anything else happens; again and again while the database is away. */
async function storePair(
  deps: PersonalDeps,
  consent: Consent,
  tokens: Extract<TokenAnswer, { kind: 'tokens' }>,
): Promise<void> {
  const { access, refresh } = sealPair({ ...deps, table: 'personal_consents' }, consent.id, tokens);
  await deps.grants.keep(consent.id, () =>
    deps.db.transaction().execute(async (trx) => {
      await sql`set local synchronous_commit = on`.execute(trx);
      // Whatever became of the consent: until Zoom said whose it is, the pair may be the only one that lives.
      await sql`
        update steward.personal_consents
           set state = case state when 'returned' then 'exchanged' else state end, sealed_access = ${access}, sealed_refresh = ${refresh},
               token_facts = ${JSON.stringify(factsOf(tokens))}::jsonb,
               expires_at = steward.now() + ${identityHours} * interval '1 hour'
         where id = ${consent.id}`.execute(trx);
      await insertOutbox(trx, { job: 'verify-admin-role', key: consent.id, payload: { consentId: consent.id } });
    }),
  );
}

/**
 * The callback of a member's consent. Null: the state is of none of them, so it is an organization's, or nobody's.
 */
export async function finishConsent(
  deps: PersonalDeps,
  { params, browser }: { readonly params: URLSearchParams; readonly browser: Secret | null },
): Promise<FinishConsent | null> {
  const state = stateOf(params);
  if (state === null) return null;
  const consumed = await consume(deps, state, browser);
  if (consumed === null || 'kind' in consumed) return consumed;
  const { consent, verifier } = consumed;
  const end = async (outcome: CallbackRefusal): Promise<FinishConsent> => {
    const as = outcome === 'denied' ? 'denied' : 'failed';
    await deps.db.transaction().execute((trx) => endConsent(trx, consent, { state: as, outcome, actor: 'zoom' }));
    return refused(outcome);
  };
  const code = codeOf(deps, deps.client, params, state);
  if (!(code instanceof Secret)) return end(code);
  const answer = await exchangeCode(deps, deps.client, code, verifier);
  switch (answer.kind) {
    case 'tokens':
      await storePair(deps, consent, answer);
      await identifyConsent(deps, consent.id);
      return { kind: 'exchanged', consentId: consent.id };
    case 'grant':
      return end('code_refused');
    case 'application':
      return end('application_error');
    case 'not_sent':
    case 'unknown':
    case 'server':
      return end('answer_unknown');
    default:
      answer satisfies never;
      throw new Error('unreachable');
  }
}
