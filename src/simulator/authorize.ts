import { type Answer, escapeHtml, page } from './answers.ts';
import { markActed } from './ledger.ts';
import type { SimUser } from './population.ts';
import { judgeParameters, type ZoomRequest } from './request.ts';
import { secretMark } from './secret-mark.ts';
import { type Account, type App, privilegesOf } from './world.ts';
import type { ZoomState } from './zoom-state.ts';

const codeLifeMs = 5 * 60_000;
const parameters = [
  'response_type',
  'client_id',
  'redirect_uri',
  'state',
  'code_challenge',
  'code_challenge_method',
  'scope',
];

type Asked = {
  readonly app: App;
  readonly redirectUri: string;
  readonly state: string | null;
  readonly codeChallenge: string | null;
};

/** Who answers the question, and how. */
export type ConsentDecision = {
  readonly accountId?: string | undefined;
  /** id or e-mail */
  readonly user: string;
  readonly decision?: 'approve' | 'decline' | undefined;
  /** optional scopes the person takes away */
  readonly declinedScopes?: readonly string[] | undefined;
};

/** `redirected`: the browser goes back to us; `refused`: it stays on Zoom's own page. */
export type ConsentResult =
  | { readonly kind: 'redirected'; readonly location: string }
  | { readonly kind: 'refused'; readonly status: number; readonly why: string };

function readAsked(state: ZoomState, given: URLSearchParams): Asked | string {
  const app = state.world.apps.get(given.get('client_id') ?? '');
  if (!app || app.disabled) return 'Invalid client_id (4,700)';
  if (given.get('response_type') !== 'code') return 'Invalid response_type';
  const redirectUri = given.get('redirect_uri') ?? '';
  const known = app.redirectUris.includes(redirectUri) || (app.redirectUris.includes('*') && URL.canParse(redirectUri));
  if (!known) return 'Invalid redirect (4,709)';
  const method = given.get('code_challenge_method');
  const codeChallenge = given.get('code_challenge');
  if (codeChallenge !== null && (method !== 'S256' || !/^[A-Za-z0-9_-]{43}$/.test(codeChallenge)))
    return 'Invalid code_challenge';
  return { app, redirectUri, state: given.get('state'), codeChallenge };
}

function findPerson(state: ZoomState, decision: ConsentDecision): { account: Account; user: SimUser } | null {
  const accounts =
    decision.accountId === undefined ? [...state.world.accounts.values()] : [state.world.account(decision.accountId)];
  for (const account of accounts) {
    const user = account.population.byId(decision.user) ?? account.population.byEmail(decision.user);
    if (user) return { account, user };
  }
  return null;
}

const withParameters = (base: string, values: Readonly<Record<string, string | null>>): string => {
  const url = new URL(base);
  for (const [name, value] of Object.entries(values)) if (value !== null) url.searchParams.set(name, value);
  return url.toString();
};

function decide(state: ZoomState, asked: Asked, decision: ConsentDecision): ConsentResult {
  const person = findPerson(state, decision);
  if (!person) return { kind: 'refused', status: 401, why: 'Sign in: no such Zoom user' };
  const { account, user } = person;
  const held = privilegesOf(account, user.id);
  // Zoom says so on its own site and does not come back (zoom-api, OAuth).
  if (user.status !== 'active' || !asked.app.requires.every((privilege) => held.includes(privilege))) {
    return { kind: 'refused', status: 403, why: 'An account admin is required to approve this app.' };
  }
  if (decision.decision === 'decline') {
    if (state.toggles().consent_refusal === 'stays') return { kind: 'refused', status: 200, why: 'You declined.' };
    const location = withParameters(asked.redirectUri, { error: 'access_denied', state: asked.state });
    return { kind: 'redirected', location };
  }
  if (state.toggles().same_user_consent === 'ends_at_consent') {
    state.families.end(
      (family) =>
        family.clientId === asked.app.clientId && family.accountId === account.id && family.userId === user.id,
      'consented_again',
    );
  }
  const code = `${secretMark}${state.random(20)}`;
  state.codes.set(code, {
    clientId: asked.app.clientId,
    accountId: account.id,
    userId: user.id,
    redirectUri: asked.redirectUri,
    codeChallenge: asked.codeChallenge,
    scopes: asked.app.scopes.filter((scope) => !(decision.declinedScopes ?? []).includes(scope)),
    expiresAtMs: state.clock.nowMs() + codeLifeMs,
    used: false,
  });
  return { kind: 'redirected', location: withParameters(asked.redirectUri, { code, state: asked.state }) };
}

/** A person answers an authorize URL of ours, without a browser. @throws when Zoom would show an error instead */
export function consent(state: ZoomState, authorizeUrl: string, decision: ConsentDecision): ConsentResult {
  const asked = readAsked(state, new URL(authorizeUrl).searchParams);
  if (typeof asked === 'string') throw new Error(`Expected an authorize URL that Zoom accepts, got: ${asked}`);
  return decide(state, asked, decision);
}

/** A consent that began at Zoom's Marketplace: it comes back without a state of ours, and without PKCE. */
export function consentAtMarketplace(
  state: ZoomState,
  clientId: string,
  decision: ConsentDecision & { redirectUri: string },
): ConsentResult {
  const foreign = state.toggles().marketplace_state === 'foreign';
  return decide(
    state,
    {
      app: state.world.app(clientId),
      redirectUri: decision.redirectUri,
      state: foreign ? state.random(16) : null,
      codeChallenge: null,
    },
    decision,
  );
}

function consentPage(asked: Asked, given: URLSearchParams): string {
  const hidden = [...given].map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  );
  const scopes = asked.app.scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join('');
  return `<h1>Zoom (simulated)</h1><p><b>${escapeHtml(asked.app.clientId)}</b> wants to:</p><ul>${scopes}</ul>
    <form method="post" action="/oauth/authorize">${hidden.join('')}
    <label>Sign in as (Zoom user id or e-mail) <input name="user" required></label>
    <button name="decision" value="approve">Allow</button> <button name="decision" value="decline">Decline</button></form>`;
}

/** GET /oauth/authorize shows the question, POST answers it. */
export function authorize(state: ZoomState, request: ZoomRequest): Answer {
  const posted = request.method === 'POST';
  const given = posted ? new URLSearchParams(request.body) : request.url.searchParams;
  judgeParameters(request.entry, given, posted ? [...parameters, 'user', 'account', 'decision'] : parameters);
  const asked = readAsked(state, given);
  if (typeof asked === 'string') return page(400, `<h1>Error</h1><p>${escapeHtml(asked)}</p>`);
  request.entry.clientId = asked.app.clientId;
  if (!posted) return page(200, consentPage(asked, given));
  const declined = given.get('decision') === 'decline';
  const result = decide(state, asked, {
    accountId: given.get('account') ?? undefined,
    user: given.get('user') ?? '',
    decision: declined ? 'decline' : 'approve',
  });
  if (result.kind === 'refused')
    return page(result.status, `<h1>Zoom (simulated)</h1><p>${escapeHtml(result.why)}</p>`);
  markActed(request.entry, declined ? 'declined' : 'consented');
  return { status: 302, headers: { Location: result.location }, body: '', contentType: 'text/plain' };
}
