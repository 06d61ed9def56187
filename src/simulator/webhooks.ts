import { createHmac } from 'node:crypto';
import type { SimulatedClock } from './simulated-clock.ts';
import type { Toggles } from './toggles.ts';
import { deauthorizedBody, validationBody, type WebhookBody } from './webhook-bodies.ts';
import { post, signatureHeaders, writeBody } from './webhook-request.ts';

/** A webhook as Zoom would send it. */
export type Webhook = { readonly clientId: string; readonly event: string; readonly body: WebhookBody };

/** One time that a webhook was sent, and what came back. */
export type WebhookAttempt = {
  readonly n: number;
  readonly clientId: string;
  readonly event: string;
  /** 1 the first time */
  readonly attempt: number;
  readonly clockMs: number;
  /** null: no answer in time */
  readonly status: number | null;
  readonly ms: number;
  /** url_validation only: whether the answer was right */
  readonly valid: boolean | null;
};

export type Subscription = { readonly clientId: string; readonly url: string; readonly secret: string };

export type Webhooks = {
  subscribe(subscription: Subscription): void;
  send(clientId: string, body: WebhookBody): void;
  /** app_deauthorized: the app was taken off an account, or a grant was revoked; a private app is told nothing */
  deauthorized(facts: { clientId: string; accountId: string; userId: string }): void;
  subscribers(): readonly string[];
  list(): readonly Webhook[];
  attempts(): readonly WebhookAttempt[];
  /** Sends what is due by the simulated clock, until nothing is due and nothing is on its way. */
  settle(): Promise<void>;
  /** what is due by a clock that was moved */
  wake(): void;
  stop(): Promise<void>;
};

const minuteMs = 60_000;
/** after each failed attempt; then Zoom gives up */
const retryAfterMs = [5 * minuteMs, 20 * minuteMs, 60 * minuteMs];
const validateEveryMs = 72 * 60 * minuteMs;
const failedValidationsAtMost = 6;
const lateMs = 40 * minuteMs;
const reorderedWithinMs = 10 * minuteMs;
const atOnce = 8;
const lookEveryMs = 1_000;

type Delivery = Webhook & {
  readonly bytes: string;
  dueMs: number;
  attempt: number;
  headers: Record<string, string> | null;
};
type Subscribed = Subscription & { nextValidationMs: number; failedValidations: number };

/** Webhooks that Zoom owes: kept to be read, and sent to the apps that subscribed. */
export function createWebhooks(deps: {
  readonly clock: SimulatedClock;
  readonly seed: string;
  toggles(): Toggles;
}): Webhooks {
  const { clock, seed, toggles } = deps;
  const owed: Webhook[] = [];
  const subscribed = new Map<string, Subscribed>();
  let waiting: Delivery[] = [];
  const attempts: WebhookAttempt[] = [];
  const stopping = new AbortController();
  let pumping: Promise<void> | undefined;
  let made = 0;

  const dice = (): number => {
    made += 1;
    return createHmac('sha256', seed).update(`webhook:${made}`).digest().readUInt32BE(0) / 2 ** 32;
  };

  function schedule(webhook: Webhook): void {
    const nowMs = clock.nowMs();
    const delivery = (delayMs: number): Delivery => ({
      ...webhook,
      bytes: writeBody(toggles().webhook_body, webhook.body),
      dueMs: nowMs + delayMs,
      attempt: 0,
      headers: null,
    });
    const reading = toggles().webhook_delivery;
    switch (reading) {
      case 'once':
        waiting.push(delivery(0));
        return;
      case 'doubled':
        waiting.push(delivery(0), delivery(0));
        return;
      case 'late':
        waiting.push(delivery(lateMs));
        return;
      case 'reordered':
        waiting.push(delivery(Math.floor(dice() * reorderedWithinMs)));
        return;
      case 'some_lost':
        if (owed.length % 3 !== 0) waiting.push(delivery(0));
        return;
      default:
        reading satisfies never;
    }
  }

  function note(
    delivery: Pick<Delivery, 'clientId' | 'event' | 'attempt'>,
    answer: Omit<WebhookAttempt, 'n' | 'clockMs' | 'clientId' | 'event' | 'attempt'>,
  ): void {
    const { clientId, event, attempt } = delivery;
    attempts.push({ n: attempts.length + 1, clientId, event, attempt, clockMs: clock.nowMs(), ...answer });
  }

  async function deliver(delivery: Delivery, { url, secret }: Subscribed): Promise<void> {
    if (delivery.headers === null || toggles().webhook_retries === 'resigned')
      delivery.headers = signatureHeaders(secret, Math.floor(clock.nowMs() / 1_000), delivery.bytes);
    delivery.attempt += 1;
    const { status, ms } = await post(url, delivery.headers, delivery.bytes, stopping.signal);
    note(delivery, { status, ms, valid: null });
    const delayMs = retryAfterMs[delivery.attempt - 1];
    if ((status !== null && status < 500) || delayMs === undefined) return;
    delivery.dueMs = clock.nowMs() + delayMs;
    waiting.push(delivery);
  }

  async function validate(to: Subscribed): Promise<void> {
    to.nextValidationMs = clock.nowMs() + validateEveryMs;
    const plainToken = createHmac('sha256', seed).update(`plain:${dice()}`).digest('base64url').slice(0, 22);
    const bytes = writeBody(toggles().webhook_body, validationBody(clock.nowMs(), plainToken));
    const signed = toggles().validation_signature === 'signed';
    const headers = signed ? signatureHeaders(to.secret, Math.floor(clock.nowMs() / 1_000), bytes) : {};
    const { status, ms, text } = await post(to.url, headers, bytes, stopping.signal);
    const encryptedToken = createHmac('sha256', to.secret).update(plainToken).digest('hex');
    const valid = status === 200 && isAnswer(text, { plainToken, encryptedToken });
    note({ clientId: to.clientId, event: 'endpoint.url_validation', attempt: 1 }, { status, ms, valid });
    to.failedValidations = valid ? 0 : to.failedValidations + 1;
    if (to.failedValidations >= failedValidationsAtMost) subscribed.delete(to.clientId);
  }

  async function pump(): Promise<void> {
    for (;;) {
      const nowMs = clock.nowMs();
      for (const to of [...subscribed.values()]) if (to.nextValidationMs <= nowMs) await validate(to);
      const due = waiting.filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
      const now = due.slice(0, toggles().webhook_delivery === 'once' ? 1 : atOnce);
      if (now.length === 0 || stopping.signal.aborted) return;
      waiting = waiting.filter((delivery) => !now.includes(delivery));
      await Promise.all(
        now.map(async (delivery) => {
          const to = subscribed.get(delivery.clientId);
          if (to) await deliver(delivery, to);
        }),
      );
    }
  }

  const isAnythingDue = (): boolean => {
    const nowMs = clock.nowMs();
    return (
      waiting.some(({ dueMs }) => dueMs <= nowMs) ||
      [...subscribed.values()].some(({ nextValidationMs }) => nextValidationMs <= nowMs)
    );
  };

  const wake = (): void => {
    if (stopping.signal.aborted) return;
    pumping ??= pump().finally(() => {
      pumping = undefined;
    });
  };

  // By real time as well: a simulator that runs alone is not woken by anybody.
  const timer = setInterval(wake, lookEveryMs);
  timer.unref();

  const send: Webhooks['send'] = (clientId, body) => {
    const webhook = { clientId, event: String(body['event']), body };
    owed.push(webhook);
    if (!subscribed.has(clientId)) return;
    schedule(webhook);
    wake();
  };

  return {
    subscribe(subscription) {
      subscribed.set(subscription.clientId, {
        ...subscription,
        nextValidationMs: clock.nowMs(),
        failedValidations: 0,
      });
      wake();
    },
    send,
    deauthorized(facts) {
      if (toggles().deauthorized_event === 'private_app') return;
      send(facts.clientId, deauthorizedBody(toggles().deauthorized_ts, clock.nowMs(), facts));
    },
    subscribers: () => [...subscribed.keys()],
    list: () => owed,
    attempts: () => [...attempts],
    async settle() {
      while (!stopping.signal.aborted && (pumping !== undefined || isAnythingDue())) {
        wake();
        await pumping;
      }
    },
    wake,
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await pumping;
    },
  };
}

function isAnswer(text: string, expected: { readonly plainToken: string; readonly encryptedToken: string }): boolean {
  try {
    const said = JSON.parse(text) as Record<string, unknown>;
    return said['plainToken'] === expected.plainToken && said['encryptedToken'] === expected.encryptedToken;
  } catch {
    return false;
  }
}
