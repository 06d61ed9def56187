import { type Answer, apiError, json } from './answers.ts';
import { type AccessRule, admit, type Caller } from './api-access.ts';
import type { SimUser, UserStatus } from './population.ts';
import type { ZoomRequest } from './request.ts';
import type { ZoomState } from './zoom-state.ts';

const statuses: readonly UserStatus[] = ['active', 'inactive', 'pending'];
const pageTokenLifeMs = 15 * 60_000;
const defaultPageSize = 30;
const safePageSize = 300;
const largestPageSize = 2_000;
/** A walk that is refused early must be long enough to have lost something. */
const earlyFromUsers = 300;

const readUser: Omit<AccessRule, 'query' | 'privilege'> = {
  label: 'light',
  adminScopes: ['user:read:admin', 'user:read:user:admin'],
  personalScopes: ['user:read', 'user:read:user'],
};
const accessToMe: AccessRule = { ...readUser, privilege: null, query: [] };
const accessToUser: AccessRule = {
  ...readUser,
  privilege: 'User:Read',
  query: ['login_type', 'encrypted_email', 'search_by_unique_id'],
};
const accessToPermissions: AccessRule = {
  label: 'light',
  adminScopes: ['user:read:admin', 'user:read:list_permissions:admin'],
  personalScopes: ['user:read', 'user:read:list_permissions'],
  privilege: null,
  query: [],
};
const accessToUsers: AccessRule = {
  label: 'medium',
  adminScopes: ['user:read:admin', 'user:read:list_users:admin'],
  personalScopes: [],
  privilege: 'User:Read',
  query: ['status', 'page_size', 'next_page_token', 'role_id', 'page_number', 'include_fields', 'license'],
};

const isAnswer = (value: Caller | Answer): value is Answer => 'body' in value;

/** A single user as GET /users/{id} shows them. */
function showUser({ account }: Caller, user: SimUser): Record<string, unknown> {
  return {
    id: user.id,
    first_name: user.displayName,
    last_name: '',
    display_name: user.displayName,
    email: user.email,
    type: user.type,
    role_name: account.roles.get(user.roleId)?.name ?? 'Member',
    role_id: user.roleId,
    status: user.status,
    account_id: account.id,
    pmi: 1_000_000_000,
    timezone: 'Europe/Berlin',
    dept: '',
    group_ids: [],
    verified: 1,
  };
}

/** GET /users/me. */
export function me(state: ZoomState, request: ZoomRequest): Answer {
  const caller = admit(state, request, accessToMe);
  if (isAnswer(caller)) return caller;
  const user = caller.account.population.byId(caller.family.userId);
  if (!user) return apiError(404, 1001, 'User does not exist.');
  const shown = showUser(caller, user);
  if (state.toggles().me_fields === 'full') return json(200, shown);
  return json(200, { type: shown['type'], id: shown['id'], account_id: shown['account_id'], email: shown['email'] });
}

/** GET /users/me/permissions and /users/{id}/permissions. */
export function permissions(state: ZoomState, request: ZoomRequest, key: string): Answer {
  const caller = admit(state, request, accessToPermissions);
  if (isAnswer(caller)) return caller;
  const userId = key === 'me' ? caller.family.userId : key;
  if (!caller.account.population.byId(userId)) return notFound(state, 1001, userId);
  return json(200, { permissions: state.demotions.listed(caller.account, userId) });
}

/** Code 1001, 1010 or 1120, with the documented text or another. */
export function notFound(state: ZoomState, code: 1001 | 1010 | 1120, who: string): Answer {
  const documented = {
    1001: `User does not exist: ${who}.`,
    1010: 'User does not belong to this account.',
    1120: `A invitation to this user is pending: ${who}.`,
  }[code];
  const text =
    state.toggles().cannot_host_text === 'documented' ? documented : 'The requested member could not be used here.';
  return apiError(code === 1001 ? 404 : 400, code, text);
}

/** GET /users/{id or e-mail}. */
export function user(state: ZoomState, request: ZoomRequest, key: string): Answer {
  const caller = admit(state, request, accessToUser);
  if (isAnswer(caller)) return caller;
  const { population } = caller.account;
  const found = population.byId(key) ?? population.byEmail(key);
  // A pending user has no id yet, and is only known by their address.
  if (!found || (found.status === 'pending' && found.id === key)) return notFound(state, 1001, key);
  const shown = showUser(caller, found);
  return json(200, found.status === 'pending' ? { ...shown, id: undefined } : shown);
}

/** An item of the list: no role_name, no account_id; pending users have no id. */
const showInList = (found: SimUser): Record<string, unknown> => ({
  ...(found.status === 'pending' ? {} : { id: found.id }),
  first_name: found.displayName,
  last_name: '',
  display_name: found.displayName,
  email: found.email,
  type: found.type,
  status: found.status,
  role_id: found.roleId,
  timezone: 'Europe/Berlin',
  verified: 1,
});

const badPageToken = (): Answer => apiError(400, 300, 'The next page token is invalid or expired.');

/** GET /users: one state a call, pages by token. */
export function users(state: ZoomState, request: ZoomRequest): Answer {
  const caller = admit(state, request, accessToUsers);
  if (isAnswer(caller)) return caller;
  const { account } = caller;
  const query = request.url.searchParams;
  const status = (query.get('status') ?? 'active') as UserStatus;
  const pageSize = sizeOf(state, query.get('page_size'));
  // Only 300 is safe in every schema of Zoom's, whatever the toggle makes of more.
  if (Number(query.get('page_size')) > safePageSize) request.entry.offences.push('page_too_large');
  if (!statuses.includes(status) || pageSize === null) return apiError(400, 300, 'Validation Failed.');
  const from = slotOf(state, { accountId: account.id, status, pageSize }, query.get('next_page_token') ?? '');
  if (from === null) return badPageToken();
  const found = account.population.page(status, from, pageSize);
  const total = account.population.count(status);
  return json(200, {
    page_count: Math.ceil(total / pageSize),
    page_number: 1,
    page_size: pageSize,
    total_records: total,
    next_page_token:
      found.nextSlot === null
        ? ''
        : newPageToken(state, { accountId: account.id, status, pageSize, nextSlot: found.nextSlot }),
    users: found.users.map(showInList),
  });
}

function sizeOf(state: ZoomState, said: string | null): number | null {
  if (said === null) return defaultPageSize;
  if (!/^[1-9]\d{0,4}$/.test(said)) return null;
  const size = Number(said);
  if (size <= safePageSize) return size;
  switch (state.toggles().page_size_above_300) {
    case 'honoured':
      return Math.min(size, largestPageSize);
    case 'clamped':
      return safePageSize;
    default:
      return null;
  }
}

type Walk = { readonly accountId: string; readonly status: string; readonly pageSize: number };

function newPageToken(state: ZoomState, walk: Walk & { nextSlot: number }): string {
  const nowMs = state.clock.nowMs();
  for (const [token, { expiresAtMs }] of state.pageTokens) {
    // In order of issue: the first that still lives ends the sweep.
    if (expiresAtMs > nowMs) break;
    state.pageTokens.delete(token);
  }
  const token = state.random(24);
  state.pageTokens.set(token, { ...walk, expiresAtMs: nowMs + pageTokenLifeMs });
  return token;
}

/** Where a page begins; null: the token is not good, or the parameters are not those it was given for. */
function slotOf(state: ZoomState, walk: Walk, token: string): number | null {
  if (token === '') return 0;
  const found = state.pageTokens.get(token);
  if (!found || found.expiresAtMs <= state.clock.nowMs()) return null;
  if (found.accountId !== walk.accountId || found.status !== walk.status || found.pageSize !== walk.pageSize)
    return null;
  const key = `${walk.accountId} ${walk.status}`;
  if (
    state.toggles().page_tokens === 'expire_early' &&
    found.nextSlot >= earlyFromUsers &&
    !state.expiredEarly.has(key)
  ) {
    state.expiredEarly.add(key);
    return null;
  }
  return found.nextSlot;
}
