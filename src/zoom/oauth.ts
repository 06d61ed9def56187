import type { Secret } from '../secret.ts';
import type { ZoomEndpoints } from './endpoints.ts';
import { classifyRevokeAnswer, classifyTokenAnswer, type TokenAnswer } from './oauth-answers.ts';
import { type OnZoomRequest, tellRequest } from './request-event.ts';
import { type HttpOutcome, sendOnce, type ZoomNetwork } from './send-once.ts';

export type { ZoomEndpoints } from './endpoints.ts';
export type { TokenAnswer } from './oauth-answers.ts';

/** One of our two Zoom apps. Secrets are tried in order when Zoom answers `invalid_client`. */
export type ZoomClient = {
  readonly kind: 'admin' | 'personal';
  readonly clientId: string;
  readonly secrets: readonly Secret[];
  readonly redirectUri: string;
};

export type RevokeAnswer = { readonly kind: 'revoked' } | Exclude<TokenAnswer, { kind: 'tokens' }>;

export type ConsentRequest = { readonly state: string; readonly codeChallenge: string };

/** Where the browser goes to consent. PKCE is sent besides Basic; no scope, so that the app's own hold. */
export function authorizeUrl(
  endpoints: ZoomEndpoints,
  client: Pick<ZoomClient, 'clientId' | 'redirectUri'>,
  { state, codeChallenge }: ConsentRequest,
): string {
  const url = new URL(endpoints.authorizeUrl);
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    state,
    code_challenge: codeChallenge,
    code_challenge_method: 'S256',
  }).toString();
  return url.href;
}

/** From connecting to the last byte (lifecycle §3). */
const requestTimeoutMs = 30_000;
const maxAnswerBytes = 256 * 1024;

export type ZoomOauthDeps = {
  readonly endpoints: ZoomEndpoints;
  readonly network?: ZoomNetwork;
  readonly onRequest?: OnZoomRequest;
  /** milliseconds from connecting to the last byte; smaller in tests */
  readonly timeoutMs?: number;
};

export type ZoomOauth = ReturnType<typeof createZoomOauth>;

/**
 * Zoom's OAuth endpoints. Token and revoke requests are our own code and not a library's: Basic goes out literally
 * (percent-encoding it changes a client id with `_`), and no field of a 200 may lose a pair that Zoom has rotated.
 */
export function createZoomOauth({ endpoints, network, onRequest, timeoutMs = requestTimeoutMs }: ZoomOauthDeps) {
  async function post<T extends { readonly kind: string }>(
    endpoint: string,
    url: string,
    client: ZoomClient,
    secret: Secret,
    form: Record<string, string>,
    classify: (answer: Extract<HttpOutcome, { kind: 'answer' }>['answer']) => T,
  ): Promise<T | Extract<TokenAnswer, { kind: 'not_sent' | 'unknown' }>> {
    const startedMs = performance.now();
    const outcome = await sendOnce({
      method: 'POST',
      url: new URL(url),
      headers: {
        Authorization: `Basic ${Buffer.from(`${client.clientId}:${secret.reveal()}`).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
        'Accept-Encoding': 'identity',
      },
      body: new URLSearchParams(form).toString(),
      totalMs: timeoutMs,
      maxBytes: maxAnswerBytes,
      agent: null,
      network,
    });
    const answer =
      outcome.kind === 'answer' ? classify(outcome.answer) : { kind: outcome.kind, detail: outcome.detail };
    tellRequest(onRequest, {
      endpoint,
      outcome: answer.kind === 'tokens' || answer.kind === 'revoked' ? 'ok' : answer.kind,
      status: outcome.kind === 'answer' ? outcome.answer.status : null,
      ms: performance.now() - startedMs,
      retryAfterMs: 'retryAfterMs' in answer && typeof answer.retryAfterMs === 'number' ? answer.retryAfterMs : null,
    });
    return answer;
  }

  return {
    authorizeUrl: (client: ZoomClient, consent: ConsentRequest): string => authorizeUrl(endpoints, client, consent),

    exchangeCode(
      client: ZoomClient,
      secret: Secret,
      { code, codeVerifier }: { readonly code: Secret; readonly codeVerifier: Secret },
    ): Promise<TokenAnswer> {
      const form = {
        grant_type: 'authorization_code',
        code: code.reveal(),
        redirect_uri: client.redirectUri,
        code_verifier: codeVerifier.reveal(),
      };
      return post('oauth.exchange', endpoints.tokenUrl, client, secret, form, classifyTokenAnswer);
    },

    /** One refresh, never repeated here: whether it may be repeated is the caller's to know. */
    refresh(client: ZoomClient, secret: Secret, refreshToken: Secret): Promise<TokenAnswer> {
      const form = { grant_type: 'refresh_token', refresh_token: refreshToken.reveal() };
      return post('oauth.refresh', endpoints.tokenUrl, client, secret, form, classifyTokenAnswer);
    },

    /** Ends a grant at Zoom. Code as if it ended every token of the account for this client id (zoom-api, OAuth). */
    revoke(client: ZoomClient, secret: Secret, accessToken: Secret): Promise<RevokeAnswer> {
      return post(
        'oauth.revoke',
        endpoints.revokeUrl,
        client,
        secret,
        { token: accessToken.reveal() },
        classifyRevokeAnswer,
      );
    },
  };
}
