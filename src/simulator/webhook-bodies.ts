import type { SimUser } from './population.ts';
import type { Toggles } from './toggles.ts';

export type WebhookBody = Readonly<Record<string, unknown>>;

/** What happened to a user, by Zoom's names for it. */
export type UserEvent =
  | 'user.created'
  | 'user.updated'
  | 'user.deleted'
  | 'user.deactivated'
  | 'user.activated'
  | 'user.disassociated'
  | 'user.invitation_accepted';

const shown = (user: SimUser): Record<string, unknown> => ({
  // A pending user has no id yet.
  ...(user.status === 'pending' ? {} : { id: user.id }),
  first_name: user.displayName,
  last_name: '',
  email: user.email,
  type: user.type,
});

/** `user.*`: payload as documented; `old` only where something changed. */
export function userBody(
  event: UserEvent,
  nowMs: number,
  accountId: string,
  user: SimUser,
  changes: { readonly now: object; readonly old: object } | null = null,
): WebhookBody {
  const changed = changes && { object: { id: user.id, ...changes.now }, old_object: { id: user.id, ...changes.old } };
  return {
    event,
    event_ts: nowMs,
    payload: {
      account_id: accountId,
      operator: 'owner@simulator.example',
      operator_id: 'zu_owner',
      ...(changed ?? { object: shown(user) }),
    },
  };
}

/** What `user.updated` says of a changed role; null: it says nothing and is not sent (there is no event for roles). */
export function roleChange(
  reading: Toggles['role_change_event'],
  names: { readonly now: string; readonly old: string },
  ids: { readonly now: string; readonly old: string },
): { readonly now: object; readonly old: object } | null {
  switch (reading) {
    case 'role_id':
      return { now: { role: ids.now }, old: { role: ids.old } };
    case 'role_name':
      return { now: { role: names.now }, old: { role: names.old } };
    case 'not_sent':
      return null;
    default:
      return reading satisfies never;
  }
}

/** `account.settings_updated`. */
export const settingsBody = (nowMs: number, accountId: string): WebhookBody => ({
  event: 'account.settings_updated',
  event_ts: nowMs,
  payload: {
    account_id: accountId,
    operator: 'owner@simulator.example',
    object: { id: accountId, settings: { in_meeting: { chat: true } } },
    old_object: { id: accountId, settings: { in_meeting: { chat: false } } },
  },
});

/** `app_deauthorized`; where its time is, and whether it is a text, has been seen in several ways. */
export function deauthorizedBody(
  reading: Toggles['deauthorized_ts'],
  nowMs: number,
  facts: { readonly clientId: string; readonly accountId: string; readonly userId: string },
): WebhookBody {
  return {
    event: 'app_deauthorized',
    ...(reading === 'text_inside' ? {} : { event_ts: nowMs }),
    payload: {
      account_id: facts.accountId,
      user_id: facts.userId,
      client_id: facts.clientId,
      deauthorization_time: new Date(nowMs).toISOString(),
      signature: 'simulated',
      ...(reading === 'number_outside' ? {} : { event_ts: String(nowMs) }),
    },
  };
}

/** `endpoint.url_validation`. */
export const validationBody = (nowMs: number, plainToken: string): WebhookBody => ({
  payload: { plainToken },
  event_ts: nowMs,
  event: 'endpoint.url_validation',
});
