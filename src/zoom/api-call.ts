import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Secret } from '../secret.ts';
import { type CallSubject, classifyApiAnswer, jsonOf, networkFailure, type ZoomFailure } from './api-errors.ts';
import type { ZoomEndpoints } from './endpoints.ts';
import { type RateLabel, type RateLimitSaid, readRateLimit } from './rate-limits.ts';
import { type OnZoomRequest, tellRequest } from './request-event.ts';
import { type HttpCall, type HttpOutcome, sendOnce, type ZoomNetwork } from './send-once.ts';

/** A value, or why there is none; `limit`: what the answer says of the account's limits, if anything. */
export type ZoomAnswer<T> = (
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: ZoomFailure }
) & { readonly limit?: RateLimitSaid | null };

/** With what a call is made. */
export type ZoomAuth = { readonly token: Secret; readonly apiBase: string; readonly signal?: AbortSignal | undefined };

export type ZoomApiDeps = {
  readonly endpoints: ZoomEndpoints;
  readonly network?: ZoomNetwork;
  readonly onRequest?: OnZoomRequest;
  /** milliseconds for a whole call; smaller in tests */
  readonly timeoutMs?: number;
};

/** One call of the API. */
export type ApiCall<T> = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** bounded name for metrics */
  readonly endpoint: string;
  /** by which Zoom counts it */
  readonly label: RateLabel;
  /** segments of the path below the version; ids are encoded here */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string>>;
  readonly subject: CallSubject;
  readonly body?: unknown;
  /** null: the answer lacks what is documented */
  read(json: unknown): T | null;
};

export type ApiCaller = {
  ask<T>(auth: ZoomAuth, call: ApiCall<T>): Promise<ZoomAnswer<T>>;
  /** Closes kept connections. */
  close(): void;
};

const requestTimeoutMs = 30_000;
const maxAnswerBytes = 8 * 1024 * 1024;
/** Kept connections are closed before Zoom's side is likely to. */
const idleMs = 4_000;
/** Would be taken out of the path, and another thing asked for. */
const notSegments = ['', '.', '..'];

/**
 * Makes calls of Zoom's API, the same way each: no redirect, bounded time and size, the token only to a base that is
 * Zoom's. What changes something has a connection of its own; a GET that was lost on a kept connection which Zoom had
 * closed meanwhile is sent once more on a new one. Never rejects.
 */
export function createApiCaller({
  endpoints,
  network,
  onRequest,
  timeoutMs = requestTimeoutMs,
}: ZoomApiDeps): ApiCaller {
  // A walk through a directory is hundreds of calls: a handshake for each would be most of its time.
  const kept = { keepAlive: true, timeout: idleMs };
  const agents = { 'http:': new HttpAgent(kept), 'https:': new HttpsAgent(kept) };

  function urlOf(auth: ZoomAuth, call: ApiCall<unknown>): URL {
    const known = auth.apiBase === endpoints.apiBase || endpoints.trustedApiBase(auth.apiBase);
    const base = (known ? auth.apiBase : endpoints.apiBase).replace(/\/+$/, '');
    const url = new URL(`${base}/v2/${call.path.map(encodeURIComponent).join('/')}`);
    url.search = new URLSearchParams(call.query).toString();
    return url;
  }

  async function send(auth: ZoomAuth, call: ApiCall<unknown>): Promise<HttpOutcome> {
    const url = urlOf(auth, call);
    const request: HttpCall = {
      method: call.method,
      url,
      headers: {
        Authorization: `Bearer ${auth.token.reveal()}`,
        Accept: 'application/json',
        'Accept-Encoding': 'identity',
        ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      totalMs: timeoutMs,
      maxBytes: maxAnswerBytes,
      agent: call.method === 'GET' ? agents[url.protocol as keyof typeof agents] : null,
      network,
      signal: auth.signal,
    };
    const outcome = await sendOnce(request);
    const lostOnIdleSocket = outcome.kind === 'unknown' && outcome.reusedSocket && outcome.beforeAnswer;
    if (!lostOnIdleSocket || call.method !== 'GET' || outcome.detail !== 'ECONNRESET') return outcome;
    return sendOnce({ ...request, agent: null });
  }

  async function ask<T>(auth: ZoomAuth, call: ApiCall<T>): Promise<ZoomAnswer<T>> {
    // Zoom once gave a refresh token without an access token: the next refresh mends it, a call would not.
    if (auth.token.reveal() === '') return notAsked('token', 'no access token');
    if (call.path.some((segment) => notSegments.includes(segment))) return notAsked('not_found', 'not an id');
    const startedMs = performance.now();
    const outcome = await send(auth, call);
    const answer = answerOf(call, outcome);
    tellRequest(onRequest, {
      endpoint: call.endpoint,
      outcome: answer.ok ? 'ok' : answer.failure.kind,
      status: outcome.kind === 'answer' ? outcome.answer.status : null,
      ms: performance.now() - startedMs,
      retryAfterMs: answer.ok ? null : (answer.failure.retryAfterMs ?? null),
    });
    return answer;
  }

  return {
    ask,
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

const notAsked = (
  kind: ZoomFailure['kind'],
  detail: string,
): { readonly ok: false; readonly failure: ZoomFailure } => ({
  ok: false,
  failure: { kind, status: null, code: null, detail, sent: false },
});

function answerOf<T>(call: ApiCall<T>, outcome: HttpOutcome): ZoomAnswer<T> {
  if (outcome.kind !== 'answer') return { ok: false, failure: networkFailure(outcome) };
  const json = jsonOf(outcome.answer);
  const failure = classifyApiAnswer(outcome.answer, call.subject, Date.now(), json);
  const limit = readRateLimit(outcome.answer.headers, call.label, failure?.per ?? null);
  if (failure) return { ok: false, failure, limit };
  // One that is no JSON object was a failure already, unless it is empty.
  const value = call.read(json);
  if (value !== null) return { ok: true, value, limit };
  const { status } = outcome.answer;
  const detail = `HTTP ${status} without the documented fields`;
  return { ok: false, failure: { kind: 'unexpected', status, code: null, detail, sent: true } };
}
