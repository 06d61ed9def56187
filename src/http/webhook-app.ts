import type { Secret } from '../secret.ts';

/** One of our Zoom apps and the secret tokens of its event subscriptions. */
export type WebhookApp = {
  readonly kind: 'admin' | 'personal';
  readonly clientId: string;
  readonly secrets: readonly Secret[];
};

/** Path of an app's webhooks, registered with Zoom. */
export const webhookPath = (kind: WebhookApp['kind']): string => `/zoom/webhooks/${kind}`;
