import { type Answer, apiError, json } from './answers.ts';
import type { Family } from './grant-families.ts';
import { judgeParameters, noteToken, type ZoomRequest } from './request.ts';
import type { Account, RateLabel } from './world.ts';
import type { ZoomState } from './zoom-state.ts';

/** What an endpoint asks of its caller before it looks at anything. */
export type AccessRule = {
  readonly label: RateLabel;
  /** classic and granular spelling, for admin apps; one of them is needed */
  readonly adminScopes: readonly string[];
  /** the same for apps that each user manages */
  readonly personalScopes: readonly string[];
  /** privilege of the authorizing user that an admin app needs; null: none */
  readonly privilege: string | null;
  /** names of the query */
  readonly query: readonly string[];
};

export type Caller = { readonly family: Family; readonly account: Account; readonly personal: boolean };

export const permissionText = 'You do not have the permission to access this information.';

/** A call for want of a privilege, in the shape of the toggle. */
export function permissionRefusal(state: ZoomState): Answer {
  switch (state.toggles().permission_error) {
    case 'http_403':
      return apiError(403, 403, permissionText);
    case 'http_400_code_200':
      return apiError(400, 200, permissionText);
    case 'http_200_code_200':
      return json(200, { code: 200, message: permissionText });
    default:
      return apiError(403, 403, permissionText);
  }
}

/** Whether a call fails for want of a privilege of the authorizing user. */
export function lacksPrivilege(state: ZoomState, caller: Caller, privilege: string | null): boolean {
  if (privilege === null || caller.personal) return false;
  return !state.demotions.enforced(caller.account, caller.family.userId).includes(privilege);
}

function scopeRefusal(state: ZoomState, family: Family, needed: readonly string[]): Answer {
  const [classic = '', granular] = needed;
  // Which spelling an app has shows in what it was given.
  const isGranular = family.scopes.some((scope) => scope.split(':').length === 4) && granular !== undefined;
  const message = `Invalid access token, does not contain scopes:[${isGranular ? granular : classic}].`;
  return apiError(Number(state.toggles().missing_scope_status), isGranular ? 4711 : 4700, message);
}

/** The caller, if the token is good, the scopes suffice, the privilege is there and the limits allow it. */
export function admit(state: ZoomState, request: ZoomRequest, rule: AccessRule): Caller | Answer {
  const { entry } = request;
  const deadStatus = Number(state.toggles().dead_token_status);
  const bearer = /^Bearer (\S+)$/.exec(request.authorization)?.[1];
  if (bearer === undefined) {
    entry.offences.push('no_bearer');
    return apiError(deadStatus, 124, 'Invalid access token.');
  }
  const token = noteToken(state, entry, bearer, 'access');
  if (!token) return apiError(deadStatus, 124, 'Invalid access token.');
  if (!judgeParameters(entry, request.url.searchParams, rule.query)) return apiError(400, 300, 'Validation Failed.');
  const { family } = token;
  const account = state.world.account(family.accountId);
  // Calls with dead tokens count as well.
  const { refusal, headers } = state.limits.take(account, rule.label);
  if (refusal) return refusal;
  request.limitHeaders = headers;
  const trouble = state.families.trouble(token);
  if (trouble)
    return apiError(deadStatus, 124, trouble === 'expired' ? 'Access token is expired.' : 'Invalid access token.');
  const app = state.world.app(family.clientId);
  if (app.disabled) return apiError(400, 4717, 'The app has been disabled.');
  const personal = app.kind === 'personal';
  const needed = personal ? rule.personalScopes : rule.adminScopes;
  if (!needed.some((scope) => family.scopes.includes(scope))) return scopeRefusal(state, family, needed);
  const caller = { family, account, personal };
  return lacksPrivilege(state, caller, rule.privilege) ? permissionRefusal(state) : caller;
}
