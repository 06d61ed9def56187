import { scrub } from '../scrub.ts';
import { Secret } from '../secret.ts';
import { retryAfterMs } from './retry-after.ts';
import type { HttpAnswer } from './send-once.ts';

/** What the token endpoint's answer means (lifecycle §3, steps 5 and 6). */
export type TokenAnswer =
  | {
      readonly kind: 'tokens';
      /** empty if Zoom gave only a refresh token: the first call is refused and the next refresh mends it */
      readonly accessToken: Secret;
      readonly refreshToken: Secret | null;
      readonly expiresInS: number | null;
      readonly scopes: readonly string[] | null;
      readonly apiUrl: string | null;
    }
  /** not a byte was written: repeating is safe */
  | { readonly kind: 'not_sent'; readonly detail: string }
  /** sent, outcome unknown: time-out, reset, truncated, or a success that cannot be read */
  | { readonly kind: 'unknown'; readonly detail: string }
  /** a whole 5xx, 3xx, 429, or a refusal that names nothing we know: says nothing about the grant */
  | { readonly kind: 'server'; readonly status: number; readonly retryAfterMs: number | null; readonly detail: string }
  /** about our application, never about a grant */
  | { readonly kind: 'application'; readonly code: string; readonly detail: string }
  /** about this grant (or this code) */
  | { readonly kind: 'grant'; readonly code: string; readonly detail: string };

type Json = Readonly<Record<string, unknown>>;

/** Numbers of Zoom's OAuth error table; at the API the same numbers mean other things. */
const applicationCodes: readonly string[] = ['4702', '4704', '4706', '4709', '4711', '4717'];
const grantCodes: readonly string[] = ['4733', '4734', '4735', '4738', '4741'];
const applicationErrors: readonly string[] = [
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'redirect_uri_mismatch',
];
const grantErrors: readonly string[] = ['invalid_grant', 'invalid_token'];

const aboutClient = /invalid client|client[_ ]?id or client[_ ]?secret|client[_ ]secret/i;
const aboutRedirect = /redirect/i;
const aboutToken =
  /invalid (refresh |access )?token|token (is|has been|was) (invalid|revoked|expired)|invalid authorization code/i;
const oauthNumber = /\b4,?7(\d\d)\b/;

const longestDetail = 200;

function parseObject(body: Buffer): Json | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

const text = (value: unknown): string | null =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : null;

const firstText = (json: Json, names: readonly string[]): string | null => {
  for (const name of names) {
    const found = text(json[name]);
    if (found !== null) return found;
  }
  return null;
};

function secondsOf(value: unknown): number | null {
  const seconds = typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : value;
  return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds : null;
}

function scopesOf(value: unknown): readonly string[] | null {
  const words = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.split(/[\s,]+/) : [];
  const scopes = words.filter((word) => word !== '');
  return scopes.length > 0 ? scopes : null;
}

/** Tokens, if there are any: whatever else is missing, null or of another type must not lose them. */
function tokensOf(json: Json): TokenAnswer | null {
  const access = text(json['access_token']);
  const refresh = text(json['refresh_token']);
  if (access === null && refresh === null) return null;
  return {
    kind: 'tokens',
    accessToken: new Secret(access ?? ''),
    refreshToken: refresh === null ? null : new Secret(refresh),
    expiresInS: access === null ? 1 : secondsOf(json['expires_in']),
    scopes: scopesOf(json['scope']),
    apiUrl: text(json['api_url']),
  };
}

/** Zoom's number, wherever it stands: a field of its own, or within the text as 4741 or 4,741. */
function numberOf(json: Json, reason: string | null): string | null {
  for (const name of ['code', 'errorCode', 'error_code', 'error']) {
    const value = json[name];
    const number = typeof value === 'number' ? String(value) : (text(value) ?? '');
    if (/^4,?7\d\d$/.test(number)) return number.replace(',', '');
  }
  const inText = oauthNumber.exec(reason ?? '');
  return inText ? `47${inText[1]}` : null;
}

/** Which of the two a refusal is about; null if it names nothing we know. */
function refusalOf(json: Json, detail: string): TokenAnswer | null {
  const reason = firstText(json, ['reason', 'error_description', 'errorMessage', 'message']);
  const error = text(json['error'])?.toLowerCase() ?? null;
  const number = numberOf(json, reason);
  // The number is the most precise; what is about our application must never count against a grant.
  if (number !== null && applicationCodes.includes(number)) return { kind: 'application', code: number, detail };
  if (number !== null && grantCodes.includes(number)) return { kind: 'grant', code: number, detail };
  if (reason !== null && aboutClient.test(reason)) return { kind: 'application', code: 'invalid_client', detail };
  if (error !== null && applicationErrors.includes(error)) return { kind: 'application', code: error, detail };
  if (reason !== null && aboutRedirect.test(reason))
    return { kind: 'application', code: 'redirect_uri_mismatch', detail };
  if (error !== null && grantErrors.includes(error)) return { kind: 'grant', code: 'invalid_grant', detail };
  if (reason !== null && aboutToken.test(reason)) return { kind: 'grant', code: 'invalid_grant', detail };
  if (error === 'invalid_request') return { kind: 'application', code: error, detail };
  return null;
}

function detailOf(status: number, json: Json | null): string {
  if (!json) return `HTTP ${status}, not JSON`;
  const said = ['error', 'code', 'errorCode', 'error_code', 'reason', 'error_description', 'errorMessage', 'message']
    .map((name) => json[name])
    .filter((value) => typeof value === 'string' || typeof value === 'number')
    .join(': ');
  return scrub(`HTTP ${status} ${said}`.trim()).slice(0, longestDetail);
}

/**
 * Classifies a whole answer of the token endpoint by its body; of the status only the class counts. Success that
 * cannot be read is `unknown`: Zoom may have rotated.
 */
export function classifyTokenAnswer(answer: HttpAnswer, nowMs = Date.now()): TokenAnswer {
  const { status } = answer;
  const json = parseObject(answer.body);
  const detail = detailOf(status, json);
  const server: TokenAnswer = { kind: 'server', status, retryAfterMs: retryAfterMs(answer.headers, nowMs), detail };
  if (status >= 200 && status < 300) {
    if (!json) return { kind: 'unknown', detail };
    return tokensOf(json) ?? refusalOf(json, detail) ?? { kind: 'unknown', detail };
  }
  if (status < 400 || status >= 500 || status === 429 || status === 408 || json === null) return server;
  return refusalOf(json, detail) ?? server;
}

/** Classifies an answer of the revoke endpoint: any 2xx that is JSON and names no error has revoked. */
export function classifyRevokeAnswer(
  answer: HttpAnswer,
  nowMs = Date.now(),
): { readonly kind: 'revoked' } | Exclude<TokenAnswer, { kind: 'tokens' }> {
  const json = parseObject(answer.body);
  if (answer.status >= 200 && answer.status < 300 && json) {
    return (
      (refusalOf(json, detailOf(answer.status, json)) as Exclude<TokenAnswer, { kind: 'tokens' }> | null) ?? {
        kind: 'revoked',
      }
    );
  }
  const classified = classifyTokenAnswer(answer, nowMs);
  return classified.kind === 'tokens' ? { kind: 'unknown', detail: `HTTP ${answer.status} with tokens` } : classified;
}
