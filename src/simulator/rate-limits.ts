import { type Answer, apiError } from './answers.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import { skewMs } from './simulated-clock.ts';
import type { Toggles } from './toggles.ts';
import type { Account, Plan, RateLabel, RateLimit } from './world.ts';

/** Zoom's table, for a whole account. */
const limits: Readonly<Record<Plan, Readonly<Record<RateLabel, RateLimit>>>> = {
  free: {
    light: { perSecond: 4, perDay: 6_000 },
    medium: { perSecond: 2, perDay: 2_000 },
    heavy: { perSecond: 1, perDay: 1_000 },
  },
  pro: {
    light: { perSecond: 30, perDay: null },
    medium: { perSecond: 20, perDay: null },
    heavy: { perSecond: 10, perDay: null },
  },
  business: {
    light: { perSecond: 80, perDay: null },
    medium: { perSecond: 60, perDay: null },
    heavy: { perSecond: 40, perDay: null },
  },
};

const secondMs = 1_000;
const dayMs = 86_400_000;

export type RateLimits = {
  /** Counts a call: an answer if it is one too many, and the headers of one that is not. */
  take(account: Account, label: RateLabel): { readonly refusal: Answer | null; readonly headers: Headers };
};

type Headers = Readonly<Record<string, string>>;
type RateLimitFacts = { label: string; type: 'QPS' | 'Daily-limit'; limit: number; remaining: number };

/** `X-RateLimit-*` as a toggle has them. */
function rateLimitHeaders(reading: Toggles['rate_limit_headers'], facts: RateLimitFacts): Headers {
  const has = (part: typeof reading): boolean => ['sent', part].includes(reading);
  return {
    ...(has('names_only') ? { 'X-RateLimit-Category': facts.label, 'X-RateLimit-Type': facts.type } : {}),
    ...(has('counts_only')
      ? { 'X-RateLimit-Limit': String(facts.limit), 'X-RateLimit-Remaining': String(facts.remaining) }
      : {}),
  };
}

/** `Retry-After` and `X-RateLimit-*` as the toggles have them. */
function limitHeaders(
  toggles: Toggles,
  nowMs: number,
  facts: { waitMs: number; label: string; type: 'QPS' | 'Daily-limit'; limit: number },
): Record<string, string> {
  const untilMs = nowMs + skewMs[toggles.clock_skew] + facts.waitMs;
  const retryAfter = {
    seconds: String(Math.max(1, Math.ceil(facts.waitMs / secondMs))),
    http_date: new Date(Math.ceil(untilMs / secondMs) * secondMs).toUTCString(),
    iso_date: new Date(untilMs).toISOString(),
    missing: null,
  }[toggles.retry_after];
  return {
    ...(retryAfter === null ? {} : { 'Retry-After': retryAfter }),
    ...rateLimitHeaders(toggles.rate_limit_headers, { ...facts, remaining: 0 }),
  };
}

/** A 429 as Zoom words it. */
export function tooManyRequests(
  toggles: Toggles,
  nowMs: number,
  facts: { daily: boolean; label: string; limit: number },
): Answer {
  const waitMs = facts.daily ? dayMs - (nowMs % dayMs) : secondMs - (nowMs % secondMs);
  const type = facts.daily ? 'Daily-limit' : 'QPS';
  const message = `You have reached the maximum ${facts.daily ? 'daily' : 'per-second'} rate limit for this API. Refer to the response header for details on when you can make another request.`;
  return {
    ...apiError(429, 429, message),
    headers: limitHeaders(toggles, nowMs, { waitMs, label: facts.label, type, limit: facts.limit }),
  };
}

/** Counters by account and label, in seconds and days of the simulated clock. */
export function createRateLimits(deps: { readonly clock: SimulatedClock; toggles(): Toggles }): RateLimits {
  const counts = new Map<string, { second: number; inSecond: number; day: number; inDay: number }>();
  return {
    take(account, label) {
      const toggles = deps.toggles();
      const nowMs = deps.clock.nowMs();
      const key = `${account.id} ${label}`;
      const count = counts.get(key) ?? { second: 0, inSecond: 0, day: 0, inDay: 0 };
      counts.set(key, count);
      const second = Math.floor(nowMs / secondMs);
      const day = Math.floor(nowMs / dayMs);
      if (count.second !== second) Object.assign(count, { second, inSecond: 0 });
      if (count.day !== day) Object.assign(count, { day, inDay: 0 });
      count.inSecond += 1;
      count.inDay += 1;
      const { perSecond, perDay } = account.limits[label] ?? limits[account.plan][label];
      const enforced = toggles.rate_limits === 'on';
      if (enforced && perDay !== null && count.inDay > perDay)
        return { refusal: tooManyRequests(toggles, nowMs, { daily: true, label, limit: perDay }), headers: {} };
      if (enforced && count.inSecond > perSecond)
        return { refusal: tooManyRequests(toggles, nowMs, { daily: false, label, limit: perSecond }), headers: {} };
      // Where days are limited, Zoom speaks of the day: that is what runs out.
      const [limit, taken] = perDay === null ? [perSecond, count.inSecond] : [perDay, count.inDay];
      const type = perDay === null ? 'QPS' : 'Daily-limit';
      const facts = { label, type, limit, remaining: Math.max(0, limit - taken) } as const;
      return { refusal: null, headers: rateLimitHeaders(toggles.success_rate_limit_headers, facts) };
    },
  };
}
