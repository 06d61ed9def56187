import { scrub } from '../scrub.ts';
import { answerTimeMs, retryAfterMs } from './retry-after.ts';
import type { HttpAnswer, HttpOutcome } from './send-once.ts';

/**
 * What a failed call is evidence of. `token`: the access token is refused; `application`: about our app; `not_found`:
 * what the call was about is not there; `cannot_host`: that user cannot host in this account; `page_token`: start the
 * walk again; `network`: no whole answer; `unexpected`: an answer that nothing may be concluded from.
 */
export type ZoomFailure = {
  readonly kind:
    | 'token'
    | 'missing_scope'
    | 'missing_permission'
    | 'not_found'
    | 'cannot_host'
    | 'rate_limited'
    | 'host_daily_limit'
    | 'server'
    | 'network'
    | 'application'
    | 'page_token'
    | 'unexpected';
  readonly status: number | null;
  /** Zoom's number in the body */
  readonly code: number | null;
  readonly detail: string;
  /** milliseconds since the epoch by the clock of this process; deadlines in Postgres want `retryAfterMs` */
  readonly retryAtMs?: number | null;
  /** milliseconds from now */
  readonly retryAfterMs?: number | null;
  /** of `rate_limited`: which of the account's limits was reached; null: Zoom does not say */
  readonly per?: 'second' | 'day' | null;
  /** the scopes Zoom says are missing */
  readonly scopes?: readonly string[];
  /** false: not a byte left, so nothing can have been done at Zoom */
  readonly sent?: boolean;
};

/** What a call is about, because Zoom's numbers mean different things in different places. */
export type CallSubject = 'user' | 'list' | 'host' | 'meeting' | 'role';

type Said = { readonly code: number | null; readonly message: string };

const longestDetail = 200;
const secondMs = 1_000;
const dayMs = 24 * 60 * 60 * secondMs;

const missingScopes = /does not contain scopes?:?\s*\[([^\]]*)\]?/i;
const hostLimit = /daily rate limit\s*\(\d+\)/i;
const aboutPageToken = /page.?token/i;
const noPermission =
  /(no|not have|lack|without|insufficient|missing|denied)\b.{0,24}(permission|privilege)|not (permitted|authorized|allowed)|(access|account).{0,10}denied/i;
const aboutToken = /(access )?token\b.*\b(expired|invalid|empty|revoked)|invalid (access )?token/i;
const appOff = /\b(app|application)\b.{0,30}\b(disabled|deactivated|suspended|blocked)\b/i;

/** The body read as JSON; null if it is none. */
export function jsonOf({ body }: HttpAnswer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

/** Code and message of an error body; null if the body is no JSON object. */
function saidBy(json: unknown): Said | null {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null;
  const { code, message, errorMessage } = json as Record<string, unknown>;
  const number = typeof code === 'string' && /^\d{1,6}$/.test(code) ? Number(code) : code;
  return {
    code: typeof number === 'number' && Number.isInteger(number) ? number : null,
    message: typeof message === 'string' ? message : typeof errorMessage === 'string' ? errorMessage : '',
  };
}

/** Milliseconds until 00:00 UTC by the clock of whoever answered, a day at most: then daily limits start again. */
const untilMidnightMs = (answer: HttpAnswer, nowMs: number): number =>
  dayMs - (((answerTimeMs(answer.headers, nowMs) % dayMs) + dayMs) % dayMs);

function rateLimited(
  answer: HttpAnswer,
  said: Said | null,
  nowMs: number,
): Pick<ZoomFailure, 'kind' | 'retryAfterMs' | 'per'> {
  const message = said?.message ?? '';
  const told = retryAfterMs(answer.headers, nowMs);
  // This one blocks a single host and comes without Retry-After.
  if (hostLimit.test(message))
    return { kind: 'host_daily_limit', retryAfterMs: told ?? untilMidnightMs(answer, nowMs) };
  const type = String(answer.headers['x-ratelimit-type'] ?? '');
  const daily = /daily/i.test(message) || /daily/i.test(type);
  const per = daily ? 'day' : /per.?second/i.test(message) || /qps/i.test(type) ? 'second' : null;
  return { kind: 'rate_limited', per, retryAfterMs: told ?? (daily ? untilMidnightMs(answer, nowMs) : secondMs) };
}

function kindByCode(code: number | null, { message }: Said, subject: CallSubject): ZoomFailure['kind'] | null {
  switch (code) {
    case 124:
      return 'token';
    case 300:
      return subject === 'list' || aboutPageToken.test(message) ? 'page_token' : null;
    case 1001:
    case 1010:
      return subject === 'host' || subject === 'meeting' ? 'cannot_host' : 'not_found';
    case 1120:
      return 'cannot_host';
    case 3001:
      return 'not_found';
    case 4711:
      return 'missing_scope';
    default:
      return null;
  }
}

function kindOf(answer: HttpAnswer, said: Said | null, subject: CallSubject): ZoomFailure['kind'] {
  const { status } = answer;
  // Only Zoom itself speaks JSON: an HTML page comes from something in between and says nothing about the grant.
  if (!said) return status >= 500 || status === 408 ? 'server' : 'unexpected';
  if (status >= 500 || status === 408) return 'server';
  if (status >= 300 && status < 400) return 'unexpected';
  if (missingScopes.test(said.message)) return 'missing_scope';
  const byCode = kindByCode(said.code, said, subject);
  if (byCode) return byCode;
  if (appOff.test(said.message) || said.code === 4717) return 'application';
  if (aboutToken.test(said.message)) return 'token';
  // About a host or a meeting a text alone may speak of what was asked for ("… is not allowed"): only Zoom's own number counts.
  const aboutOne = subject === 'host' || subject === 'meeting';
  const general = !aboutOne || said.code === null || said.code === 200 || said.code === status;
  if (general && (status === 403 || noPermission.test(said.message))) return 'missing_permission';
  if (status === 404) return 'not_found';
  return 'unexpected';
}

/**
 * What a whole answer failed of, by its body first: Zoom answers errors with 200 too, and numbers outlive texts.
 * Null: it did not fail.
 * @param json what `jsonOf` made of it, where it is wanted again: a page of users is long
 */
export function classifyApiAnswer(
  answer: HttpAnswer,
  subject: CallSubject,
  nowMs = Date.now(),
  json = jsonOf(answer),
): ZoomFailure | null {
  const { status } = answer;
  const said = saidBy(json);
  const success = status >= 200 && status < 300;
  if (success && (answer.body.length === 0 || (said !== null && (said.code === null || said.message === ''))))
    return null;
  const detail = scrub(
    `HTTP ${status}${said ? ` ${said.code ?? ''} ${said.message}` : ', not JSON'}`.replace(/\s+/g, ' ').trim(),
  );
  const facts = { status, code: said?.code ?? null, detail: detail.slice(0, longestDetail), sent: true };
  if (status === 429 || said?.code === 429) {
    const limited = rateLimited(answer, said, nowMs);
    return { ...facts, ...limited, retryAtMs: nowMs + (limited.retryAfterMs ?? 0) };
  }
  const kind = kindOf(answer, said, subject);
  if (kind === 'missing_scope') {
    const scopes = (missingScopes.exec(said?.message ?? '')?.[1] ?? '')
      .split(/[\s,"']+/)
      .filter((scope) => scope !== '');
    return { ...facts, kind, scopes };
  }
  if (kind === 'server') {
    const afterMs = retryAfterMs(answer.headers, nowMs);
    return { ...facts, kind, retryAfterMs: afterMs, retryAtMs: afterMs === null ? null : nowMs + afterMs };
  }
  return { ...facts, kind };
}

/** A request without a whole answer. */
export const networkFailure = (outcome: Exclude<HttpOutcome, { kind: 'answer' }>): ZoomFailure => ({
  kind: 'network',
  status: null,
  code: null,
  detail: outcome.detail,
  sent: outcome.kind === 'unknown',
});
