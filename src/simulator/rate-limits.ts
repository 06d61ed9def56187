import { type Answer, apiError } from './answers.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import { skewMs } from './simulated-clock.ts';
import type { Toggles } from './toggles.ts';
import type { Account, Plan } from './world.ts';

export type RateLabel = 'light' | 'medium' | 'heavy';

type Limit = { readonly perSecond: number; readonly perDay: number | null };

/** Zoom's table, for a whole account. */
const limits: Readonly<Record<Plan, Readonly<Record<RateLabel, Limit>>>> = {
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
  /** Counts a call; an answer if it is one too many. */
  take(account: Account, label: RateLabel): Answer | null;
};

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
  const has = (part: Toggles['rate_limit_headers']): boolean => ['sent', part].includes(toggles.rate_limit_headers);
  return {
    ...(retryAfter === null ? {} : { 'Retry-After': retryAfter }),
    ...(has('names_only') ? { 'X-RateLimit-Category': facts.label, 'X-RateLimit-Type': facts.type } : {}),
    ...(has('counts_only') ? { 'X-RateLimit-Limit': String(facts.limit), 'X-RateLimit-Remaining': '0' } : {}),
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
      if (toggles.rate_limits === 'off') return null;
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
      const { perSecond, perDay } = limits[account.plan][label];
      if (perDay !== null && count.inDay > perDay)
        return tooManyRequests(toggles, nowMs, { daily: true, label, limit: perDay });
      if (count.inSecond > perSecond) return tooManyRequests(toggles, nowMs, { daily: false, label, limit: perSecond });
      return null;
    },
  };
}
