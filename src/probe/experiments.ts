import { randomUUID } from 'node:crypto';
import { grantIn, inventedToken, type ProbeAnswer, type ProbeGrant, type ZoomSession } from './zoom-session.ts';

/** What an experiment saw: readings by the names of docs/zoom-simulator.md, and what tells them apart. */
export type Seen = {
  /** toggle → reading; null: these calls could not tell */
  readonly readings: Readonly<Record<string, string | null>>;
  /** what was seen, without a secret, an id or an address */
  readonly evidence: string;
};

export type Probe = {
  readonly zoom: ZoomSession;
  /** the living grant; experiments that rotate replace it */
  grant: ProbeGrant;
};

export type Experiment = {
  readonly name: string;
  /** toggles it can read */
  readonly toggles: readonly string[];
  /** said before it is done */
  readonly does: string;
  /** done only when asked for by name: it ends the grant, uses up limits or writes */
  readonly danger?: string;
  run(probe: Probe): Promise<Seen>;
};

const codeOf = ({ json }: ProbeAnswer): number | null => (typeof json['code'] === 'number' ? json['code'] : null);
const shownStatus = (answer: ProbeAnswer): string =>
  `HTTP ${answer.status}${codeOf(answer) === null ? '' : ` code ${codeOf(answer)}`}`;
/** Whether an access token still works. */
export const works = async ({ zoom }: Probe, { access }: Pick<ProbeGrant, 'access'>): Promise<boolean> =>
  (await zoom.api('GET', '/users/me', access)).status === 200;
/** A status that is one of the readings, where the answer is the one that was expected. */
const statusReading = (answer: ProbeAnswer, codes: readonly number[]): string | null =>
  codes.includes(codeOf(answer) ?? -1) && [400, 401].includes(answer.status) ? String(answer.status) : null;

function tokenSuccess({ json }: ProbeAnswer): string | null {
  const has = (name: string): boolean => name in json;
  if (json['refresh_token'] === 'object' || !has('refresh_token')) return 'refresh_token_null';
  if (!has('scope') && !has('expires_in')) return 'bare';
  if (!has('scope')) return 'scope_missing';
  if (json['scope'] === null) return 'scope_null';
  if (!has('expires_in')) return 'expires_in_missing';
  if (json['expires_in'] === null) return 'expires_in_null';
  return typeof json['expires_in'] === 'string' ? 'expires_in_text' : 'full';
}

function tokenError({ status, json }: ProbeAnswer): string | null {
  const { error, reason } = json;
  if (/\(\d,\d{3}\)/.test(String(reason ?? '')) && status === 401) return 'number_in_text_401';
  if (error === 'invalid_request') return 'request_and_reason';
  if (error !== 'invalid_grant') return null;
  if (status === 401) return 'grant_401';
  if ('errorCode' in json || 'code' in json) return 'grant_and_number';
  return reason === undefined ? 'grant_only' : 'grant_and_reason';
}

function skew({ headers, sentAtMs, answeredAtMs }: ProbeAnswer): { reading: string | null; seconds: number | null } {
  const theirsMs = Date.parse(String(headers['date'] ?? ''));
  if (Number.isNaN(theirsMs)) return { reading: null, seconds: null };
  // Dates have whole seconds.
  const seconds = Math.round((theirsMs - (sentAtMs + answeredAtMs) / 2) / 1_000);
  const reading = Math.abs(seconds) < 30 ? 'none' : seconds > 0 ? 'ahead' : 'behind';
  return { reading, seconds };
}

function retryAfterForm(value: string | string[] | undefined): string {
  const text = String(value ?? '');
  if (text === '') return 'missing';
  if (/^\d+(\.\d+)?$/.test(text)) return 'seconds';
  return /^\d{4}-\d{2}-\d{2}T/.test(text) ? 'iso_date' : 'http_date';
}

/** Which of the four documented headers an answer carried; null: in a way of its own. */
function headersReading(told: readonly string[]): string | null {
  const has = (...names: string[]): boolean => names.every((name) => told.includes(`x-ratelimit-${name}`));
  if (told.length === 0) return 'missing';
  if (told.length === 4 && has('category', 'type', 'limit', 'remaining')) return 'sent';
  if (told.length !== 2) return null;
  return has('category', 'type') ? 'names_only' : has('limit', 'remaining') ? 'counts_only' : null;
}

/** Names of the answer's headers about limits. */
const limitHeadersOf = ({ headers }: ProbeAnswer): string[] =>
  Object.keys(headers)
    .filter((name) => name.startsWith('x-ratelimit-'))
    .sort();

const me: Experiment = {
  name: 'me',
  toggles: ['me_fields', 'success_rate_limit_headers', 'clock_skew'],
  does: 'GET /users/me once: which fields and limits are there, and what time it is at Zoom',
  async run({ zoom, grant }) {
    const answer = await zoom.api('GET', '/users/me', grant.access);
    const { reading, seconds } = skew(answer);
    const full = ['status', 'role_name'].every((name) => name in answer.json);
    const limits = limitHeadersOf(answer);
    return {
      readings: {
        me_fields: answer.status === 200 ? (full ? 'full' : 'sparse') : null,
        success_rate_limit_headers: answer.status === 200 ? headersReading(limits) : null,
        clock_skew: reading,
      },
      evidence: `${shownStatus(answer)}, fields ${Object.keys(answer.json).sort().join(' ')}; limits ${limits.join(' ') || 'none'}; Zoom's clock ${seconds ?? 'unknown'} s from ours`,
    };
  },
};

const refreshed: Experiment = {
  name: 'refresh',
  toggles: ['token_success', 'expires_in', 'api_url', 'old_access_token'],
  does: 'one refresh: the shape of its answer, and GET /users/me with the access token of before',
  async run(probe) {
    const before = probe.grant;
    const answer = await probe.zoom.refresh(before.refresh);
    const next = grantIn(answer, before);
    if (!next) return { readings: {}, evidence: `${shownStatus(answer)}, no tokens: the grant is gone` };
    probe.grant = next;
    const { json } = next.said;
    const { expires_in: expiresIn, api_url: base } = json;
    const shape = tokenSuccess(next.said);
    const survives = await works(probe, before);
    return {
      readings: {
        token_success: shape,
        expires_in: ['3600', '3599'].includes(String(expiresIn)) ? String(expiresIn) : null,
        // An answer that names nothing but tokens says nothing about the base either.
        api_url:
          shape === 'bare'
            ? null
            : typeof base !== 'string'
              ? 'missing'
              : probe.zoom.isZoomBase(base)
                ? 'own'
                : 'foreign',
        old_access_token: survives ? 'survives' : 'ends',
      },
      evidence: `fields ${Object.keys(json).sort().join(' ')}; expires_in ${JSON.stringify(expiresIn) ?? 'missing'}; the access token of before ${survives ? 'works' : 'is refused'}`,
    };
  },
};

const deadTokens: Experiment = {
  name: 'dead-tokens',
  toggles: ['token_error', 'dead_token_status'],
  does: 'a refresh and GET /users/me, each with a token that Zoom never gave',
  async run({ zoom }) {
    const refusal = await zoom.refresh(inventedToken());
    const call = await zoom.api('GET', '/users/me', inventedToken());
    return {
      readings: { token_error: tokenError(refusal), dead_token_status: statusReading(call, [124]) },
      evidence: `token endpoint HTTP ${refusal.status} with ${Object.keys(refusal.json).sort().join(' ')}, error ${String(refusal.json['error'])}; API ${shownStatus(call)}`,
    };
  },
};

const encodedBasic: Experiment = {
  name: 'percent-encoded-basic',
  toggles: ['percent_encoded_basic'],
  does: 'a refresh with a token that Zoom never gave, the credentials percent-encoded: which of the two Zoom refuses',
  async run({ zoom }) {
    const refusal = await zoom.refresh(inventedToken(), 'percent');
    const { error } = refusal.json;
    const accepted = tokenError(refusal) !== null;
    return {
      readings: { percent_encoded_basic: accepted ? 'accepted' : error === 'invalid_client' ? 'refused' : null },
      evidence: `HTTP ${refusal.status}, error ${String(error)}`,
    };
  },
};

const stranger: Experiment = {
  name: 'stranger',
  toggles: ['cannot_host_text'],
  does: 'GET /users/{an invented id}: code and text for a user who does not exist',
  async run({ zoom, grant }) {
    const answer = await zoom.api('GET', `/users/probe-${randomUUID()}`, grant.access);
    const documented = /^User (does not exist|not exist)/i.test(String(answer.json['message'] ?? ''));
    return {
      readings: { cannot_host_text: codeOf(answer) === 1001 ? (documented ? 'documented' : 'changed') : null },
      evidence: `${shownStatus(answer)}, the documented text: ${documented ? 'yes' : 'no'}`,
    };
  },
};

const missingScope: Experiment = {
  name: 'missing-scope',
  toggles: ['missing_scope_status'],
  does: 'GET /roles, which tells something only if the app lacks role:read:admin',
  async run({ zoom, grant }) {
    const answer = await zoom.api('GET', '/roles', grant.access);
    return {
      readings: { missing_scope_status: statusReading(answer, [4700, 4711]) },
      evidence: `${shownStatus(answer)}${answer.status === 200 ? ': the app has the scope' : ''}`,
    };
  },
};

const largePage: Experiment = {
  name: 'large-page',
  toggles: ['page_size_above_300'],
  does: 'GET /users with a page size of 301: honoured, cut to 300, or refused',
  async run({ zoom, grant }) {
    const answer = await zoom.api('GET', '/users?status=active&page_size=301', grant.access);
    const size = answer.json['page_size'];
    const reading = answer.status === 400 ? 'refused' : size === 301 ? 'honoured' : size === 300 ? 'clamped' : null;
    return {
      readings: { page_size_above_300: reading },
      evidence: `${shownStatus(answer)}, page_size ${String(size ?? 'missing')}`,
    };
  },
};

const mostCalls = 200;
/** What is limited by the second is free again. */
const untilOverMs = 1_500;

const limits: Experiment = {
  name: 'limits',
  toggles: ['rate_limits', 'retry_after', 'rate_limit_headers'],
  does: `GET /users/me up to ${mostCalls} times at once, until the first 429`,
  danger: 'for a second it leaves nothing of the limit, which all apps of the account share',
  async run({ zoom, grant }) {
    let limited: ProbeAnswer | undefined;
    let calls = 0;
    while (limited === undefined && calls < mostCalls) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => zoom.api('GET', '/users/me', grant.access)));
      calls += answers.length;
      limited = answers.find(({ status }) => status === 429);
    }
    await new Promise((resolve) => setTimeout(resolve, untilOverMs));
    if (!limited) return { readings: { rate_limits: 'off' }, evidence: `no 429 in ${calls} calls` };
    const told = limitHeadersOf(limited);
    return {
      readings: {
        rate_limits: 'on',
        retry_after: retryAfterForm(limited.headers['retry-after']),
        rate_limit_headers: headersReading(told),
      },
      evidence: `429 within ${calls} calls; headers ${told.join(' ') || 'none'}`,
    };
  },
};

const reuse: Experiment = {
  name: 'reuse',
  toggles: ['refresh_reuse'],
  does: 'a refresh, and then the refresh token of before once more',
  danger: 'may end the grant',
  async run(probe) {
    const before = probe.grant;
    const next = grantIn(await probe.zoom.refresh(before.refresh), before);
    if (!next) return { readings: {}, evidence: 'the first refresh was refused' };
    probe.grant = next;
    if (next.refresh.reveal() === before.refresh.reveal())
      return { readings: {}, evidence: 'the refresh kept the refresh token' };
    const again = await probe.zoom.refresh(before.refresh);
    if (grantIn(again)) return { readings: {}, evidence: 'it was taken again: a grace that nobody documented' };
    const lives = await works(probe, next);
    return {
      readings: { refresh_reuse: lives ? 'refused' : 'ends_family' },
      evidence: `HTTP ${again.status}; the new pair ${lives ? 'lives' : 'is dead'}`,
    };
  },
};

const revokeByRefreshToken: Experiment = {
  name: 'revoke-by-refresh-token',
  toggles: ['revoke_by_refresh_token'],
  does: 'POST /oauth/revoke with the refresh token',
  danger: 'ends the grant, and may take the app off the account',
  async run(probe) {
    const answer = await probe.zoom.revoke(probe.grant.refresh);
    const lives = await works(probe, probe.grant);
    return {
      readings: { revoke_by_refresh_token: answer.status === 200 && !lives ? 'accepted' : lives ? 'refused' : null },
      evidence: `HTTP ${answer.status}; the access token ${lives ? 'lives' : 'is dead'}`,
    };
  },
};

/** Every experiment, harmless ones first, and those that end the grant last. */
export const experiments: readonly Experiment[] = [
  me,
  refreshed,
  deadTokens,
  encodedBasic,
  stranger,
  missingScope,
  largePage,
  limits,
  reuse,
  revokeByRefreshToken,
];

/** What no call can tell: toggle → what it takes. */
export const notByCalls: Readonly<Record<string, string>> = {
  revoke_reach: 'two admins of one account who consented, one revoked, and a look at the other',
  same_user_consent: 'a second consent of the same person, and a look at the first pair before and after its exchange',
  other_admin_consent: 'a consent of another admin of the account, and a look at the first pair',
  refresh_lifetime: 'a grant that is refreshed each week for 90 days and more',
  demotion: 'a demotion of the person who consented, and looks at permissions and calls for hours',
  permission_error: 'a call after a demotion',
  meeting_privilege: 'a meeting for another user by somebody without User:Edit',
  consent_refusal: 'a person who may consent and declines',
  marketplace_state: 'an installation from the Marketplace page',
  page_tokens: 'a walk of a directory of thousands of users, slower than usual',
  simultaneous_operations: 'two meetings made for one user at the same moment, many times over',
  webhook_delivery: 'a receiver on the internet for some weeks',
  webhook_retries: 'a receiver on the internet that answers 500 at first',
  webhook_body: 'a receiver on the internet that keeps bytes',
  deauthorized_ts: 'a receiver on the internet, and an uninstall',
  deauthorized_event: 'a receiver on the internet, and an uninstall of a published app and of a private one',
  role_change_event: 'a receiver on the internet, and a changed role',
  validation_signature: 'a receiver on the internet, and a validation',
};
