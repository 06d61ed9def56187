import type { SimUser } from './population.ts';
import { roleChange, settingsBody, type UserEvent, userBody } from './webhook-bodies.ts';
import type { ZoomState } from './zoom-state.ts';

/** What changed about a user, as a webhook names it. */
type FieldChange = Parameters<typeof userBody>[4];

/** Apps that are on an account and subscribed. */
function appsOn(state: ZoomState, accountId: string): string[] {
  const installed = new Set(
    state.families
      .list()
      .filter((family) => family.accountId === accountId && family.ended === null)
      .map((family) => family.clientId),
  );
  return state.webhooks.subscribers().filter((clientId) => installed.has(clientId));
}

/** Tells every app on the account what happened to a user. */
export function tellUser(
  state: ZoomState,
  event: UserEvent,
  accountId: string,
  user: SimUser,
  changes: FieldChange = null,
): void {
  const body = userBody(event, state.clock.nowMs(), accountId, user, changes);
  for (const clientId of appsOn(state, accountId)) state.webhooks.send(clientId, body);
}

/** Tells every app on the account that its settings changed. */
export function tellSettings(state: ZoomState, accountId: string): void {
  for (const clientId of appsOn(state, accountId))
    state.webhooks.send(clientId, settingsBody(state.clock.nowMs(), accountId));
}

const statusEvent = (before: SimUser, after: SimUser): UserEvent | null => {
  if (before.status === after.status) return null;
  if (before.status === 'pending') return 'user.invitation_accepted';
  return after.status === 'active' ? 'user.activated' : 'user.deactivated';
};

/** Tells what a change of a user amounts to: its state, its fields, its role – which has no event of its own. */
export function tellChange(state: ZoomState, accountId: string, before: SimUser, after: SimUser): void {
  const ofStatus = statusEvent(before, after);
  if (ofStatus) tellUser(state, ofStatus, accountId, after);
  const fields = (['email', 'type', 'displayName'] as const).filter((name) => before[name] !== after[name]);
  const named = (user: SimUser): object => Object.fromEntries(fields.map((name) => [name, user[name]]));
  if (fields.length > 0) tellUser(state, 'user.updated', accountId, after, { now: named(after), old: named(before) });
  if (before.roleId === after.roleId) return;
  const { roles } = state.world.account(accountId);
  const role = roleChange(
    state.toggles().role_change_event,
    { now: roles.get(after.roleId)?.name ?? '', old: roles.get(before.roleId)?.name ?? '' },
    { now: after.roleId, old: before.roleId },
  );
  if (role) tellUser(state, 'user.updated', accountId, after, role);
}
