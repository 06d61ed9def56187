import type { IncomingHttpHeaders } from 'node:http';

const secondMs = 1_000;
const longestMs = 24 * 60 * 60 * secondMs;
const isoDate = /^\d{4}-\d{2}-\d{2}T/;
const httpDate = /^[A-Z][a-z]{2,8},? /;

/** The time of an answer by its own Date header, else ours: what Zoom's absolute times are relative to. */
export function answerTimeMs(headers: IncomingHttpHeaders, nowMs: number): number {
  const at = Date.parse(headers.date ?? '');
  return Number.isNaN(at) ? nowMs : at;
}

/**
 * How long Zoom asks us to wait, in milliseconds: seconds, an HTTP date or an ISO date-time have all been seen
 * (zoom-api, Rate limits); null if it says nothing that can be read. Dates are read against the answer's own clock,
 * so that skew does not matter. Never negative, never above a day.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number | null {
  const text = String(headers['retry-after'] ?? '').trim();
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * secondMs), longestMs);
  if (!isoDate.test(text) && !httpDate.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.min(Math.max(0, at - answerTimeMs(headers, nowMs)), longestMs);
}
