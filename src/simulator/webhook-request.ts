import { createHmac } from 'node:crypto';
import type { Toggles } from './toggles.ts';
import type { WebhookBody } from './webhook-bodies.ts';

/** What Zoom waits for an answer. */
export const answerWithinMs = 3_000;

export type WebhookAnswer = { readonly status: number | null; readonly ms: number; readonly text: string };

/** The bytes of a body. Parsed and written again they are others: whoever checks signatures must take them as they are. */
export function writeBody(reading: Toggles['webhook_body'], body: WebhookBody): string {
  const compact = JSON.stringify(body);
  switch (reading) {
    case 'compact':
      return compact;
    case 'spaced':
      return JSON.stringify(body, null, 2);
    case 'escaped':
      return compact.replaceAll('/', '\\/').replaceAll('@', '\\u0040');
    default:
      return reading satisfies never;
  }
}

/** Headers of a signed webhook. */
export function signatureHeaders(secret: string, timestampS: number, bytes: string): Record<string, string> {
  const signature = createHmac('sha256', secret).update(`v0:${timestampS}:${bytes}`).digest('hex');
  return { 'x-zm-request-timestamp': String(timestampS), 'x-zm-signature': `v0=${signature}` };
}

/** One attempt; status null: no answer within Zoom's time, or no connection. Never rejects, follows nothing. */
export async function post(
  url: string,
  headers: Record<string, string>,
  bytes: string,
  stopped: AbortSignal,
): Promise<WebhookAnswer> {
  const begun = performance.now();
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json; charset=utf-8', Connection: 'close', ...headers },
      body: bytes,
      redirect: 'manual',
      signal: AbortSignal.any([stopped, AbortSignal.timeout(answerWithinMs)]),
    });
    return { status: response.status, text: await response.text(), ms: performance.now() - begun };
  } catch {
    return { status: null, text: '', ms: performance.now() - begun };
  }
}
