import { AuthorizationResponseError, validateAuthResponse } from 'oauth4webapi';
import { Secret } from '../secret.ts';
import type { TokenAnswer, ZoomClient } from '../zoom/oauth.ts';
import type { ConnectionDeps } from './connection-deps.ts';

export type NoCode = 'denied' | 'refused_by_zoom' | 'malformed';
type Deps = Pick<ConnectionDeps, 'oauth' | 'endpoints'>;

/** The code of a callback, or why there is none. */
export function codeOf(deps: Deps, client: ZoomClient, params: URLSearchParams, state: string): Secret | NoCode {
  try {
    const valid = validateAuthResponse(
      { issuer: new URL(deps.endpoints.authorizeUrl).origin },
      { client_id: client.clientId },
      params,
      state,
    );
    const code = valid.get('code');
    return code === null || code === '' ? 'malformed' : new Secret(code);
  } catch (error) {
    if (error instanceof AuthorizationResponseError) {
      return error.error === 'access_denied' ? 'denied' : 'refused_by_zoom';
    }
    return 'malformed';
  }
}

/** The state of a callback; null if there is none of ours, or more than one. */
export function stateOf(params: URLSearchParams): string | null {
  const states = params.getAll('state');
  return states.length === 1 && states[0] !== '' ? (states[0] as string) : null;
}

/** Exchanges the code; the next client secret is tried when Zoom answers about our application. */
export async function exchangeCode(
  deps: Deps,
  client: ZoomClient,
  code: Secret,
  codeVerifier: Secret,
): Promise<TokenAnswer> {
  let answer: TokenAnswer = { kind: 'not_sent', detail: 'no client secret configured' };
  for (const secret of client.secrets) {
    answer = await deps.oauth.exchangeCode(client, secret, { code, codeVerifier });
    // Not a byte left: the code is still good.
    if (answer.kind === 'not_sent') answer = await deps.oauth.exchangeCode(client, secret, { code, codeVerifier });
    if (answer.kind !== 'application') return answer;
  }
  return answer;
}
