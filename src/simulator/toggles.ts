/** One fact about Zoom that nobody could confirm, or that Zoom itself does in several ways. */
type ToggleFacts = {
  readonly about: string;
  /** C: Zoom's own text or code, F: reported by users, ?: nobody could confirm it */
  readonly source: 'C' | 'F' | '?';
  /** the reading of the kind profile first */
  readonly readings: readonly [string, ...string[]];
  /** the reading of the cruel profile */
  readonly cruel: string;
};

const table = {
  revoke_reach: {
    about:
      'what POST /oauth/revoke ends: the grant of that token, all grants of that user for the client id, or everything of the account for the client id (with app_deauthorized)',
    source: '?',
    readings: ['token', 'user', 'account'],
    cruel: 'account',
  },
  revoke_by_refresh_token: {
    about: 'whether POST /oauth/revoke takes a refresh token',
    source: '?',
    readings: ['accepted', 'refused'],
    cruel: 'refused',
  },
  same_user_consent: {
    about: "when a second consent of the same user ends the first one's tokens (4741)",
    source: '?',
    readings: ['keeps', 'ends_at_exchange', 'ends_at_consent'],
    cruel: 'ends_at_consent',
  },
  other_admin_consent: {
    about: "whether another admin's consent ends the tokens of the admins before",
    source: '?',
    readings: ['keeps', 'ends'],
    cruel: 'ends',
  },
  old_access_token: {
    about: 'whether the access token from before a refresh goes on working',
    source: '?',
    readings: ['survives', 'ends'],
    cruel: 'ends',
  },
  refresh_reuse: {
    about: 'what a refresh token that was rotated away does when it comes again: refused, or the whole family ends',
    source: '?',
    readings: ['refused', 'ends_family'],
    cruel: 'ends_family',
  },
  refresh_lifetime: {
    about: 'whether the 90 days count from the last rotation or from the consent',
    source: '?',
    readings: ['sliding', 'fixed'],
    cruel: 'fixed',
  },
  token_error: {
    about: 'shape of a refusal of the token endpoint',
    source: 'F',
    readings: [
      'grant_and_reason',
      'grant_only',
      'grant_401',
      'request_and_reason',
      'grant_and_number',
      'number_in_text_401',
    ],
    cruel: 'request_and_reason',
  },
  token_success: {
    about: 'shape of a success of the token endpoint',
    source: 'F',
    readings: [
      'full',
      'scope_missing',
      'scope_null',
      'expires_in_missing',
      'expires_in_null',
      'expires_in_text',
      'refresh_token_null',
      'bare',
    ],
    cruel: 'expires_in_null',
  },
  percent_encoded_basic: {
    about: 'whether credentials that were percent-encoded before Basic are accepted; judged as an offence either way',
    source: '?',
    readings: ['refused', 'accepted'],
    cruel: 'refused',
  },
  expires_in: {
    about: 'seconds that an access token is said to live',
    source: 'C',
    readings: ['3600', '3599'],
    cruel: '3599',
  },
  api_url: {
    about: 'the base that a token answer names: this one, none, or one that is not Zoom’s',
    source: '?',
    readings: ['own', 'missing', 'foreign'],
    cruel: 'foreign',
  },
  demotion: {
    about:
      'what happens when the authorizing user loses the permissions: the list of permissions shrinks but calls work, calls fail, tokens end, or nothing for four hours and then calls fail',
    source: '?',
    readings: ['shrinks_list', 'fails_calls', 'revokes', 'nothing_for_hours'],
    cruel: 'nothing_for_hours',
  },
  permission_error: {
    about: 'how a call without the permission is refused',
    source: 'F',
    readings: ['http_403', 'http_400_code_200', 'http_200_code_200'],
    cruel: 'http_200_code_200',
  },
  meeting_privilege: {
    about: 'the privilege that making meetings for others needs',
    source: '?',
    readings: ['User:Edit', 'none'],
    cruel: 'User:Edit',
  },
  consent_refusal: {
    about: 'whether a person who may consent and declines is sent back (error=access_denied)',
    source: '?',
    readings: ['returns', 'stays'],
    cruel: 'stays',
  },
  marketplace_state: {
    about: 'what a consent that began at the Marketplace brings back as state: none, or one that is not ours',
    source: 'F',
    readings: ['absent', 'foreign'],
    cruel: 'foreign',
  },
  dead_token_status: {
    about: 'HTTP status of code 124, the dead access token',
    source: 'F',
    readings: ['400', '401'],
    cruel: '401',
  },
  missing_scope_status: {
    about: 'HTTP status of code 4711 and 4700, the missing scope',
    source: 'F',
    readings: ['400', '401'],
    cruel: '401',
  },
  cannot_host_text: {
    about: 'whether texts beside 1001, 1010 and 1120 are the documented ones',
    source: 'F',
    readings: ['documented', 'changed'],
    cruel: 'changed',
  },
  me_fields: {
    about:
      'fields of GET /users/me: only type is guaranteed; sparse leaves out status, role_name and what nobody needs',
    source: 'C',
    readings: ['full', 'sparse'],
    cruel: 'sparse',
  },
  page_tokens: {
    about: 'whether page tokens live their 15 minutes, or one early in the first walk of each state is refused',
    source: 'F',
    readings: ['live', 'expire_early'],
    cruel: 'expire_early',
  },
  page_size_above_300: {
    about: 'what a page size above 300 brings',
    source: '?',
    readings: ['honoured', 'clamped', 'refused'],
    cruel: 'refused',
  },
  rate_limits: {
    about: 'whether the limits of the plan are enforced',
    source: 'C',
    readings: ['off', 'on'],
    cruel: 'on',
  },
  retry_after: {
    about: 'form of Retry-After on 429, also of the token endpoint',
    source: 'F',
    readings: ['seconds', 'http_date', 'iso_date', 'missing'],
    cruel: 'missing',
  },
  rate_limit_headers: {
    about:
      'which X-RateLimit-* a 429 carries, also of the token endpoint: all, Category and Type, Limit and Remaining, none',
    source: 'F',
    readings: ['sent', 'names_only', 'counts_only', 'missing'],
    cruel: 'missing',
  },
  success_rate_limit_headers: {
    about:
      'which X-RateLimit-* other answers of the API carry – of the day where days are limited, else of the second: all, Category and Type, Limit and Remaining, none',
    source: 'F',
    readings: ['sent', 'names_only', 'counts_only', 'missing'],
    cruel: 'missing',
  },
  simultaneous_operations: {
    about: 'what becomes of an operation while another one on the same user or meeting is under way: done, or 429',
    source: 'F',
    readings: ['done', 'refused'],
    cruel: 'refused',
  },
  webhook_delivery: {
    about:
      'how webhooks come: once and in order, twice at once, 40 minutes late, in another order within 10 minutes, or every third not at all',
    source: 'C',
    readings: ['once', 'doubled', 'late', 'reordered', 'some_lost'],
    cruel: 'some_lost',
  },
  webhook_retries: {
    about: 'whether a webhook that is sent again is signed anew or carries the first signature',
    source: '?',
    readings: ['same', 'resigned'],
    cruel: 'resigned',
  },
  webhook_body: {
    about: 'bytes of a webhook: as JSON.stringify would write them, with white space, or with escaped characters',
    source: 'F',
    readings: ['compact', 'spaced', 'escaped'],
    cruel: 'escaped',
  },
  deauthorized_ts: {
    about: 'where app_deauthorized has its event_ts: a number outside the payload, a text inside, or both',
    source: 'F',
    readings: ['number_outside', 'text_inside', 'both'],
    cruel: 'text_inside',
  },
  deauthorized_event: {
    about:
      'whether app_deauthorized comes at all: to a public app, while a private one learns of it from invalid_grant',
    source: 'C',
    readings: ['public_app', 'private_app'],
    cruel: 'private_app',
  },
  role_change_event: {
    about: 'whether a changed role fires user.updated, and whether that names it by id or by name',
    source: '?',
    readings: ['role_id', 'role_name', 'not_sent'],
    cruel: 'not_sent',
  },
  validation_signature: {
    about: 'whether endpoint.url_validation is signed like other webhooks',
    source: '?',
    readings: ['signed', 'unsigned'],
    cruel: 'unsigned',
  },
  clock_skew: {
    about: "Zoom's clock against ours: none, 90 seconds ahead, 5 minutes behind",
    source: 'F',
    readings: ['none', 'ahead', 'behind'],
    cruel: 'behind',
  },
} as const satisfies Record<string, ToggleFacts>;

/** Every toggle: what it is about, who said so, its readings. docs/zoom-simulator.md shows the same. */
export const toggleTable: { readonly [Name in ToggleName]: ToggleFacts & (typeof table)[Name] } = table;

export type ToggleName = keyof typeof table;
/** A reading for every toggle. */
export type Toggles = { readonly [Name in ToggleName]: (typeof table)[Name]['readings'][number] };
export type ProfileName = 'kind' | 'cruel';

export const toggleNames = Object.keys(table) as readonly ToggleName[];

/** `kind`: Zoom as one would like it. `cruel`: each fact in the reading that costs most. */
export function profile(name: ProfileName): Toggles {
  const read = (toggle: ToggleName): string => (name === 'kind' ? table[toggle].readings[0] : table[toggle].cruel);
  return Object.fromEntries(toggleNames.map((toggle) => [toggle, read(toggle)])) as Toggles;
}

/**
 * A profile with some readings replaced.
 * @throws when a toggle or reading does not exist, naming those that do
 */
export function withToggles(base: Toggles, changes: Readonly<Record<string, unknown>>): Toggles {
  for (const [name, reading] of Object.entries(changes)) {
    const facts = (table as Record<string, ToggleFacts>)[name];
    if (!facts) throw new Error(`Expected a toggle (${toggleNames.join(', ')}), got ${name}`);
    if (!facts.readings.includes(String(reading))) {
      throw new Error(`Expected a reading of ${name} (${facts.readings.join(', ')}), got ${String(reading)}`);
    }
  }
  return { ...base, ...changes } as Toggles;
}
