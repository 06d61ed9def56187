import { createHash } from 'node:crypto';
import { Secret } from '../secret.ts';

/** What a webhook is about: ids only, and an address where there is no id yet. */
export type WebhookNotice =
  | { readonly kind: 'validation'; readonly plainToken: unknown }
  | {
      readonly kind: 'user';
      readonly event: string;
      readonly zoomAccountId: string;
      /** null: a pending user */
      readonly zoomUserId: string | null;
      /** only without an id; a `Secret` so that it gets into no log */
      readonly address: Secret | null;
    }
  | { readonly kind: 'settings'; readonly event: string; readonly zoomAccountId: string }
  | {
      readonly kind: 'deauthorized';
      readonly event: string;
      readonly zoomAccountId: string;
      readonly zoomUserId: string | null;
      /** null: Zoom did not say which app, so it is the one of the path */
      readonly clientId: string | null;
    }
  /** nothing of use to us */
  | { readonly kind: 'other' };

const userEvents = new Set([
  'user.created',
  'user.updated',
  'user.deleted',
  'user.deactivated',
  'user.activated',
  'user.disassociated',
  'user.invitation_accepted',
]);

type Fields = Readonly<Record<string, unknown>>;

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/** An id that may be stored and put into a path: no address, no line break, not endless. */
const idOf = (value: unknown): string | null =>
  typeof value === 'string' && /^[A-Za-z0-9._~+/=-]{1,128}$/.test(value) ? value : null;

const parse = (body: Buffer): Fields | null => {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Fields) : null;
  } catch {
    return null;
  }
};

/** Reads the bytes of a webhook; null if they are none that Zoom documents. Zoom's times are not read: they order nothing. */
export function readWebhook(body: Buffer): WebhookNotice | null {
  const envelope = parse(body);
  const event = envelope?.['event'];
  if (!envelope || typeof event !== 'string') return null;
  const payload = fields(envelope['payload']);
  if (event === 'endpoint.url_validation') return { kind: 'validation', plainToken: payload['plainToken'] };
  const deauthorized = event === 'app_deauthorized';
  const settings = event === 'account.settings_updated';
  if (!deauthorized && !settings && !userEvents.has(event)) return { kind: 'other' };
  const zoomAccountId = idOf(payload['account_id']);
  if (zoomAccountId === null) return null;
  if (settings) return { kind: 'settings', event, zoomAccountId };
  if (deauthorized) {
    const clientId = payload['client_id'];
    return {
      kind: 'deauthorized',
      event,
      zoomAccountId,
      zoomUserId: idOf(payload['user_id']),
      clientId: typeof clientId === 'string' ? clientId : null,
    };
  }
  const object = fields(payload['object']);
  const zoomUserId = idOf(object['id']);
  const email = object['email'];
  const address = zoomUserId === null && typeof email === 'string' ? new Secret(email) : null;
  return zoomUserId === null && address === null ? null : { kind: 'user', event, zoomAccountId, zoomUserId, address };
}

/** Text that is equal for equal JSON, however it was written. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`).join(',')}}`;
}

/**
 * Id of a webhook: the same when Zoom sends it again, signed anew or not, and however it writes the JSON then. The
 * app's own signature inside `app_deauthorized` is left out, because it may be made anew as well.
 */
export function webhookId(clientId: string, body: Buffer): Buffer {
  const envelope = parse(body) ?? {};
  const { signature: _signature, ...payload } = fields(envelope['payload']);
  return createHash('sha256')
    .update(canonical([clientId, { ...envelope, payload }]))
    .digest();
}
