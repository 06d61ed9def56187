import { randomBytes } from 'node:crypto';
import { StewardError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { ZoomEndpoints } from '../zoom/endpoints.ts';
import { authorizeUrl, type ConsentRequest } from '../zoom/oauth.ts';
import { sendOnce, type ZoomNetwork } from '../zoom/send-once.ts';

/** An answer of Zoom as the experiments look at it: what is in it, and not what a client would make of it. */
export type ProbeAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** the body if it is a JSON object, else empty */
  readonly json: Readonly<Record<string, unknown>>;
  /** when the request left and the answer was whole, milliseconds since the epoch */
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
};

/** What a consent gave, as far as it still lives. */
export type ProbeGrant = {
  access: Secret;
  refresh: Secret;
  /** the token answer without the tokens: names and values of its other fields */
  said: ProbeAnswer;
};

export type ProbeClient = { readonly clientId: string; readonly secret: Secret; readonly redirectUri: string };

export type ZoomSession = ReturnType<typeof createZoomSession>;

const requestTimeoutMs = 30_000;
const maxAnswerBytes = 1024 * 1024;

/** Requests of the experiments, each exactly as it is written. @throws StewardError `zoom_unreachable` */
export function createZoomSession(deps: {
  readonly endpoints: ZoomEndpoints;
  readonly client: ProbeClient;
  readonly network?: ZoomNetwork;
}) {
  const { endpoints, client, network } = deps;

  async function send(
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    headers: Record<string, string>,
    body: string | null,
  ): Promise<ProbeAnswer> {
    const sentAtMs = Date.now();
    const outcome = await sendOnce({
      method,
      url: new URL(url),
      headers: { Accept: 'application/json', 'Accept-Encoding': 'identity', ...headers },
      body,
      totalMs: requestTimeoutMs,
      maxBytes: maxAnswerBytes,
      agent: null,
      network,
    });
    if (outcome.kind !== 'answer')
      throw new StewardError(
        'zoom_unreachable',
        `Expected an answer of ${new URL(url).host}, got ${outcome.detail}; try again.`,
      );
    const { status, headers: said, body: bytes } = outcome.answer;
    return { status, headers: said, json: objectIn(bytes), sentAtMs, answeredAtMs: Date.now() };
  }

  const form = (
    url: string,
    fields: Record<string, string>,
    encode: (credential: string) => string = (credential) => credential,
  ): Promise<ProbeAnswer> =>
    send(
      'POST',
      url,
      {
        Authorization: `Basic ${Buffer.from(`${encode(client.clientId)}:${encode(client.secret.reveal())}`).toString('base64')}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
      new URLSearchParams(fields).toString(),
    );

  return {
    client,
    /** Follows no regional base: the global one always works. */
    api(method: 'GET' | 'POST' | 'DELETE', path: string, token: Secret, body?: unknown): Promise<ProbeAnswer> {
      return send(
        method,
        `${endpoints.apiBase}/v2${path}`,
        {
          Authorization: `Bearer ${token.reveal()}`,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        body === undefined ? null : JSON.stringify(body),
      );
    },
    /** `percent`: credentials as RFC 6749 asks for; `literal`: as in Zoom's samples */
    refresh: (token: Secret, credentials: 'literal' | 'percent' = 'literal'): Promise<ProbeAnswer> =>
      form(
        endpoints.tokenUrl,
        { grant_type: 'refresh_token', refresh_token: token.reveal() },
        credentials === 'percent' ? percentEncoded : undefined,
      ),
    exchange: (code: Secret, verifier: Secret): Promise<ProbeAnswer> =>
      form(endpoints.tokenUrl, {
        grant_type: 'authorization_code',
        code: code.reveal(),
        redirect_uri: client.redirectUri,
        code_verifier: verifier.reveal(),
      }),
    revoke: (token: Secret): Promise<ProbeAnswer> => form(endpoints.revokeUrl, { token: token.reveal() }),
    authorizeUrl: (consent: ConsentRequest): string => authorizeUrl(endpoints, client, consent),
    /** whether a base named by Zoom is one of Zoom's */
    isZoomBase: (url: string): boolean => url === endpoints.apiBase || endpoints.trustedApiBase(url),
  };
}

function objectIn(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** Every byte, so that it shows whatever a client id consists of. */
const percentEncoded = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/** The grant in an answer of the token endpoint; null: no pair is in it. */
export function grantIn(answer: ProbeAnswer, before?: ProbeGrant): ProbeGrant | null {
  const { access_token: access, refresh_token: refresh, ...rest } = answer.json;
  if (answer.status !== 200 || typeof access !== 'string') return null;
  const next = typeof refresh === 'string' ? new Secret(refresh) : before?.refresh;
  if (next === undefined) return null;
  const json = { ...rest, ...('refresh_token' in answer.json ? { refresh_token: typeof refresh } : {}) };
  return { access: new Secret(access), refresh: next, said: { ...answer, json } };
}

/** A token that Zoom never gave to anybody, in the form of one. */
export const inventedToken = (): Secret => {
  const part = (): string => randomBytes(24).toString('base64url');
  return new Secret(`eyJhbGciOiJIUzUxMiJ9.${part()}.${part()}`);
};
