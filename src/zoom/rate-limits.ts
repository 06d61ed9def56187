import type { IncomingHttpHeaders } from 'node:http';

/** Zoom's labels of calls that the worker makes or may be told of; limits are counted by label, for a whole account. */
export type RateLabel = 'light' | 'medium' | 'heavy';

/** What one answer says of the account's limits. */
export type RateLimitSaid = {
  readonly label: RateLabel;
  readonly per: 'second' | 'day';
  /** calls allowed in that time; null: not said, or nonsense */
  readonly limit: number | null;
  /** calls left of them */
  readonly remaining: number | null;
};

/** Beyond these a number is nonsense: no plan is near them. A hundred a day is what one host may create, not an account. */
const sane = { second: { least: 1, most: 1_000 }, day: { least: 1_000, most: 100_000_000 } } as const;
/** Without a type the size says it: Zoom's limits a second are far below, those a day far above. */
const surelyASecond = 200;
const surelyADay = 1_000;

const textOf = (headers: IncomingHttpHeaders, name: string): string => String(headers[name] ?? '').trim();

function countOf(headers: IncomingHttpHeaders, name: string): number | null {
  const text = textOf(headers, name);
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function labelOf(text: string, own: RateLabel): RateLabel | null {
  if (text === '') return own;
  return (/^(light|medium|heavy)\b/i.exec(text)?.[1]?.toLowerCase() as RateLabel | undefined) ?? null;
}

function perOf(type: string, limit: number | null, hint: 'second' | 'day' | null): 'second' | 'day' | null {
  if (/^(qps|per.?second)/i.test(type)) return 'second';
  if (/^dai?ly|per.?day/i.test(type)) return 'day';
  // A type that nobody has documented, e.g. a minute's: its numbers mean something else.
  if (type !== '') return null;
  if (hint !== null) return hint;
  if (limit === null) return null;
  return limit <= surelyASecond ? 'second' : limit >= surelyADay ? 'day' : null;
}

/**
 * Reads `X-RateLimit-Category`, `-Type` (`QPS` or `Daily-limit`), `-Limit` and `-Remaining` (zoom-api, Rate limits). Any
 * may be missing: without a category the limit is that of the call's own label, without a type its size says which it
 * is. Null: nothing that may be believed.
 * @param hint what the text of a refusal says, where the headers do not
 */
export function readRateLimit(
  headers: IncomingHttpHeaders,
  own: RateLabel,
  hint: 'second' | 'day' | null = null,
): RateLimitSaid | null {
  const label = labelOf(textOf(headers, 'x-ratelimit-category'), own);
  const number = countOf(headers, 'x-ratelimit-limit');
  const per = perOf(textOf(headers, 'x-ratelimit-type'), number, hint);
  if (label === null || per === null) return null;
  const { least, most } = sane[per];
  const limit = number !== null && number >= least && number <= most ? number : null;
  const left = countOf(headers, 'x-ratelimit-remaining');
  // More left than there is: then neither number is what it is called.
  if (limit !== null && left !== null && left > limit) return null;
  return limit === null && left === null ? null : { label, per, limit, remaining: limit === null ? null : left };
}
