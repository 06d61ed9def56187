import { type Answer, apiError } from './answers.ts';
import { authorize } from './authorize.ts';
import { trapPath } from './fault-answers.ts';
import { createMeeting, meeting } from './meetings-api.ts';
import type { ZoomRequest } from './request.ts';
import { revoke } from './revoke-endpoint.ts';
import { role, roles } from './roles-api.ts';
import { token, tokenEndpointName } from './token-endpoint.ts';
import { me, permissions, user, users } from './users-api.ts';
import type { ZoomState } from './zoom-state.ts';

type Handler = (state: ZoomState, request: ZoomRequest, argument: string) => Answer;
type Route = { readonly method: string; readonly path: RegExp; readonly endpoint: string; readonly handler: Handler };

const route = (method: string, path: string, endpoint: string, handler: Handler): Route => ({
  method,
  path: new RegExp(`^${path.replace('{}', '([^/]+)')}$`),
  endpoint,
  handler,
});

const table: readonly Route[] = [
  route('GET', '/oauth/authorize', 'oauth.authorize', authorize),
  route('POST', '/oauth/authorize', 'oauth.consent', authorize),
  route('POST', '/oauth/token', 'oauth.token', token),
  route('POST', '/oauth/revoke', 'oauth.revoke', revoke),
  route('GET', '/v2/users', 'users.list', users),
  route('GET', '/v2/users/me', 'users.me', me),
  route('GET', '/v2/users/{}/permissions', 'users.permissions', permissions),
  route('GET', '/v2/users/{}', 'users.get', user),
  route('GET', '/v2/roles', 'roles.list', roles),
  route('GET', '/v2/roles/{}', 'roles.get', role),
  route('POST', '/v2/users/{}/meetings', 'meetings.create', createMeeting),
  route('GET', '/v2/meetings/{}', 'meetings.get', meeting),
  route('PATCH', '/v2/meetings/{}', 'meetings.update', meeting),
  route('DELETE', '/v2/meetings/{}', 'meetings.delete', meeting),
];

export type Matched = { readonly endpoint: string; handle(state: ZoomState, request: ZoomRequest): Answer };

/** What Zoom does not serve, or not there. */
export const nowhere = (offence: 'unknown_path' | 'followed_redirect' | 'wrong_host'): Matched => ({
  endpoint: 'unknown',
  handle(_state, { entry }) {
    entry.offences.push(offence);
    return apiError(404, 404, 'Not found.');
  },
});

/** Which endpoint a request is for; its name may depend on the body. */
export function matchRoute(method: string, path: string, body: string): Matched {
  for (const { method: wanted, path: pattern, endpoint, handler } of table) {
    const found = wanted === method ? pattern.exec(path) : null;
    if (!found) continue;
    let argument: string;
    try {
      argument = decodeURIComponent(found[1] ?? '');
    } catch {
      return nowhere('unknown_path');
    }
    return {
      endpoint: endpoint === 'oauth.token' ? tokenEndpointName(body) : endpoint,
      handle: (state, request) => handler(state, request, argument),
    };
  }
  return nowhere(path === trapPath ? 'followed_redirect' : 'unknown_path');
}
