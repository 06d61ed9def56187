import { post } from './webhook-request.ts';
import type { Subscription } from './webhooks.ts';

/** What came of it: the answer to the validation, and whether the body was taken as Zoom's afterwards. */
export type SigningAttempt = { readonly validation: number | null; readonly stolen: boolean };

/**
 * Plays somebody without the secret: asks for a validation whose token is the text that a signature of `body` would be
 * made of, and sends `body` with what came back.
 */
export async function trySigning(
  { url }: Pick<Subscription, 'url'>,
  body: unknown,
  nowMs: number,
): Promise<SigningAttempt> {
  const never = new AbortController().signal;
  const bytes = JSON.stringify(body);
  const timestamp = String(Math.floor(nowMs / 1_000));
  const plainToken = `v0:${timestamp}:${bytes}`;
  const asked = await post(
    url,
    {},
    JSON.stringify({ event: 'endpoint.url_validation', payload: { plainToken } }),
    never,
  );
  const signature = /[0-9a-f]{64}/.exec(asked.text)?.[0] ?? '0'.repeat(64);
  const headers = { 'x-zm-request-timestamp': timestamp, 'x-zm-signature': `v0=${signature}` };
  const used = await post(url, headers, bytes, never);
  return { validation: asked.status, stolen: used.status !== null && used.status < 300 };
}
