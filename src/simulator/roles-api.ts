import { type Answer, apiError, json } from './answers.ts';
import { type AccessRule, admit, type Caller } from './api-access.ts';
import type { ZoomRequest } from './request.ts';
import type { ZoomState } from './zoom-state.ts';

const rule = (label: AccessRule['label'], granular: string, query: readonly string[] = []): AccessRule => ({
  label,
  adminScopes: ['role:read:admin', granular],
  personalScopes: [],
  privilege: 'Role:Read',
  query,
});
const accessToRoles = rule('medium', 'role:read:list_roles:admin');
const accessToRole = rule('light', 'role:read:role:admin');

const isAnswer = (value: Caller | Answer): value is Answer => 'body' in value;
const needsPlan = (): Answer => json(200, { code: 200, message: 'Only available for paid accounts.' });

/** GET /roles: Pro plans and up. */
export function roles(state: ZoomState, request: ZoomRequest): Answer {
  const caller = admit(state, request, accessToRoles);
  if (isAnswer(caller)) return caller;
  if (caller.account.plan === 'free') return needsPlan();
  const list = [...caller.account.roles.values()].map(({ id, name }) => ({
    id,
    name,
    description: '',
    total_members: 0,
  }));
  return json(200, { total_records: list.length, roles: list });
}

/** GET /roles/{id}: may answer 200 with an error in it. */
export function role(state: ZoomState, request: ZoomRequest, id: string): Answer {
  const caller = admit(state, request, accessToRole);
  if (isAnswer(caller)) return caller;
  if (caller.account.plan === 'free') return needsPlan();
  const found = caller.account.roles.get(id);
  if (!found) return apiError(400, 300, 'Role does not exist.');
  return json(200, { id: found.id, name: found.name, description: '', total_members: 0, privileges: found.privileges });
}
