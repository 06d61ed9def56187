import { createHash } from 'node:crypto';
import type { Answer } from './answers.ts';
import { fingerprint, grantOf } from './grant-families.ts';
import { markActed } from './ledger.ts';
import { appOf, judgeParameters, noteToken, type ZoomRequest } from './request.ts';
import { applicationRefusal, grantRefusal, tokenSuccess } from './token-shapes.ts';
import type { App } from './world.ts';
import type { PendingCode, ZoomState } from './zoom-state.ts';

const allowed: Readonly<Record<string, readonly string[]>> = {
  authorization_code: ['grant_type', 'code', 'redirect_uri', 'code_verifier'],
  refresh_token: ['grant_type', 'refresh_token'],
};

/** `oauth.exchange` or `oauth.refresh`, by what the form asks for. */
export const tokenEndpointName = (body: string): string =>
  new URLSearchParams(body).get('grant_type') === 'authorization_code' ? 'oauth.exchange' : 'oauth.refresh';

/** What is wrong with a form post as such, judged strictly; null: nothing. */
export function judgeForm(request: ZoomRequest, names: readonly string[]): Answer | null {
  const { entry } = request;
  if (!/^application\/x-www-form-urlencoded(;|$)/i.test(request.contentType)) {
    entry.offences.push('not_a_form');
    return applicationRefusal.request('Expected a form');
  }
  if (request.url.search !== '') {
    entry.offences.push('unknown_parameter');
    return applicationRefusal.request('Parameters belong in the body');
  }
  if (!judgeParameters(entry, new URLSearchParams(request.body), names)) {
    return applicationRefusal.request('Unknown or repeated parameter');
  }
  return null;
}

/** POST /oauth/token. */
export function token(state: ZoomState, request: ZoomRequest): Answer {
  const form = new URLSearchParams(request.body);
  const names = allowed[form.get('grant_type') ?? ''];
  const wrong = judgeForm(request, names ?? ['grant_type']);
  const app = appOf(state, request);
  if (form.get('grant_type') === 'refresh_token')
    noteToken(state, request.entry, form.get('refresh_token') ?? '', 'refresh');
  if (wrong) return wrong;
  if (!names) return applicationRefusal.grantType();
  // The verifier is missing only where there was a challenge: the exchange knows.
  if (names.some((name) => name !== 'code_verifier' && !form.get(name))) {
    request.entry.offences.push('missing_parameter');
    return applicationRefusal.request('Missing parameter');
  }
  if (!app) return applicationRefusal.invalidClient();
  if (app.disabled) return applicationRefusal.disabled();
  return form.get('grant_type') === 'refresh_token'
    ? refresh(state, request, app, form)
    : exchange(state, request, app, form);
}

function refuse(state: ZoomState, request: ZoomRequest, trouble: Parameters<typeof grantRefusal>[1]): Answer {
  request.entry.code = trouble;
  return grantRefusal(state.toggles().token_error, trouble);
}

function verifierFits(pending: PendingCode, verifier: string | null): boolean {
  if (pending.codeChallenge === null) return verifier === null;
  return verifier !== null && createHash('sha256').update(verifier).digest('base64url') === pending.codeChallenge;
}

function exchange(state: ZoomState, request: ZoomRequest, app: App, form: URLSearchParams): Answer {
  const { entry } = request;
  const code = form.get('code') ?? '';
  const pending = state.codes.get(code);
  entry.token = {
    kind: 'code',
    fingerprint: fingerprint(code),
    trouble: pending?.used ? 'used' : pending ? null : 'unknown',
  };
  // Whatever became of the first answer: a code is for one exchange.
  if (pending?.used) entry.offences.push('code_sent_again');
  if (!pending || pending.clientId !== app.clientId || pending.used || pending.expiresAtMs <= state.clock.nowMs()) {
    return refuse(state, request, 'code');
  }
  if (form.get('redirect_uri') !== pending.redirectUri) return applicationRefusal.redirect();
  if (!verifierFits(pending, form.get('code_verifier'))) return refuse(state, request, 'code');
  pending.used = true;
  const { accountId, userId } = pending;
  const ended = [];
  if (state.toggles().same_user_consent === 'ends_at_exchange') {
    ended.push(
      ...state.families.end(
        (family) => family.clientId === app.clientId && family.accountId === accountId && family.userId === userId,
        'consented_again',
      ),
    );
  }
  if (app.kind === 'admin' && state.toggles().other_admin_consent === 'ends') {
    ended.push(
      ...state.families.end(
        (family) => family.clientId === app.clientId && family.accountId === accountId && family.userId !== userId,
        'other_consent',
      ),
    );
  }
  const { family, pair } = state.families.begin({ app, accountId, userId, scopes: pending.scopes });
  entry.grant = grantOf(family);
  entry.family = family.id;
  markActed(entry, 'exchanged', ...ended.map((other) => `ended:${other.id}`));
  return tokenSuccess(state.toggles(), { ...pair, scopes: pending.scopes, ownBase: state.apiUrl });
}

function refresh(state: ZoomState, request: ZoomRequest, app: App, form: URLSearchParams): Answer {
  const { entry } = request;
  const found = state.families.find(form.get('refresh_token') ?? '');
  if (found?.kind !== 'refresh' || found.family.clientId !== app.clientId) return refuse(state, request, 'revoked');
  const trouble = state.families.trouble(found);
  if (trouble === 'replaced' && state.toggles().refresh_reuse === 'ends_family') {
    state.families.end((family) => family === found.family, 'reused');
    markActed(entry, `ended:${found.family.id}`);
  }
  if (trouble) return refuse(state, request, trouble);
  // Scopes taken from the app while grants live: the refresh is about the application then (zoom-api, 4711).
  if (!found.family.scopes.every((scope) => app.scopes.includes(scope))) {
    return applicationRefusal.request('The refresh token scopes do not match the client scopes. (4,711)');
  }
  const { scopes } = found.family;
  if (state.toggles().token_success === 'refresh_token_null') {
    const access = state.families.renewAccess(found.family);
    markActed(entry, 'renewed');
    return tokenSuccess(state.toggles(), { access, refresh: null, scopes, ownBase: state.apiUrl });
  }
  const pair = state.families.rotate(found.family);
  markActed(entry, 'rotated');
  return tokenSuccess(state.toggles(), { ...pair, scopes, ownBase: state.apiUrl });
}
