import type { SimulatedClock } from './simulated-clock.ts';

/** A webhook as Zoom would send it. */
export type Webhook = {
  readonly clientId: string;
  readonly event: string;
  readonly body: Readonly<Record<string, unknown>>;
};

export type Webhooks = {
  /** app_deauthorized: the app was taken off an account, or a grant was revoked */
  deauthorized(facts: { clientId: string; accountId: string; userId: string }): void;
  list(): readonly Webhook[];
};

/** Webhooks that Zoom owes; they are kept to be read, not sent. */
export function createWebhooks(clock: SimulatedClock): Webhooks {
  const owed: Webhook[] = [];
  return {
    deauthorized({ clientId, accountId, userId }) {
      const nowMs = clock.nowMs();
      const body = {
        event: 'app_deauthorized',
        event_ts: nowMs,
        payload: {
          account_id: accountId,
          user_id: userId,
          client_id: clientId,
          deauthorization_time: new Date(nowMs).toISOString(),
          event_ts: String(nowMs),
        },
      };
      owed.push({ clientId, event: 'app_deauthorized', body });
    },
    list: () => owed,
  };
}
