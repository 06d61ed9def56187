import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../secret.ts';

/** Headers of a webhook that its signature needs, as they came. */
export type SignatureHeaders = { readonly timestamp: unknown; readonly signature: unknown };

const hmac = (secret: Secret, ...parts: readonly (string | Buffer)[]): Buffer => {
  const mac = createHmac('sha256', secret.reveal());
  for (const part of parts) mac.update(part);
  return mac.digest();
};

/**
 * The secret with which Zoom signed these bytes (`v0=` and the hex HMAC of `v0:timestamp:body`), or null. Compared in
 * constant time, with every secret. The timestamp is only signed text: retries come up to 85 minutes late.
 */
export function findSigningSecret(
  secrets: readonly Secret[],
  { timestamp, signature }: SignatureHeaders,
  body: Buffer,
): Secret | null {
  if (typeof timestamp !== 'string' || !/^\d{1,15}$/.test(timestamp)) return null;
  const [, hex] = (typeof signature === 'string' && /^v0=([0-9a-f]{64})$/.exec(signature)) || [];
  if (hex === undefined) return null;
  const given = Buffer.from(hex, 'hex');
  let found: Secret | null = null;
  for (const secret of secrets) {
    const equal = timingSafeEqual(hmac(secret, `v0:${timestamp}:`, body), given);
    if (equal && found === null) found = secret;
  }
  return found;
}

/**
 * The answer to `endpoint.url_validation`, or null for a token that must not be answered: the answer is made with the
 * key and function of signatures, so whatever else could be put here would be signed for anybody (lifecycle §7).
 */
export function answerValidation(
  secret: Secret,
  plainToken: unknown,
): { readonly plainToken: string; readonly encryptedToken: string } | null {
  if (typeof plainToken !== 'string' || !/^[A-Za-z0-9_-]{1,128}$/.test(plainToken)) return null;
  return { plainToken, encryptedToken: hmac(secret, plainToken).toString('hex') };
}
