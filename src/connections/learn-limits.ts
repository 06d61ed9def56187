import type { ZoomAnswer } from '../zoom/api.ts';
import type { RateLabel } from '../zoom/rate-limits.ts';
import { type LimitFacts, limitsOf, plans } from './account-limits.ts';

/** Facts that an answer changed. */
export type Learned = Partial<Omit<LimitFacts, 'stated'>>;

/** What an answer says: of the limits by its headers, or that one of them was reached. */
export type Said = Pick<ZoomAnswer<unknown>, 'limit'> & (ZoomAnswer<unknown> | { readonly ok: true });

/** Headers: what they say counts, and takes the place of what a refusal made us assume. */
function fromHeaders(facts: LimitFacts, { limit }: Said): Learned | null {
  if (!limit || limit.limit === null || limit.label === 'heavy') return null;
  const perSecond = limit.per === 'second';
  if (limit.label === 'light') {
    const name = perSecond ? 'lightPerSecond' : 'lightPerDay';
    return facts[name] === limit.limit ? null : { [name]: limit.limit };
  }
  const name = perSecond ? 'mediumPerSecond' : 'mediumPerDay';
  if (facts.learnedFrom === 'headers' && facts[name] === limit.limit) return null;
  const assumed = facts.learnedFrom === 'refusal' ? { mediumPerSecond: null, mediumPerDay: null } : {};
  return { ...assumed, [name]: limit.limit, learnedFrom: 'headers' };
}

/**
 * A 429 that names no limit. A day's limit only Free has; a second's was reached by all apps together, so half of what we
 * worked with is assumed, down to Free's. What headers said is not doubted because others used it up.
 */
function fromRefusal(facts: LimitFacts, answer: Said): Learned | null {
  if (answer.ok || answer.failure.kind !== 'rate_limited' || facts.learnedFrom === 'headers') return null;
  const { perSecond, perDay } = limitsOf({ ...facts, stated: null });
  const { free } = plans;
  if (answer.failure.per === 'day')
    return perDay === null
      ? { mediumPerSecond: free.perSecond, mediumPerDay: free.perDay, learnedFrom: 'refusal' }
      : null;
  return answer.failure.per === 'second' && perSecond > free.perSecond
    ? { mediumPerSecond: Math.max(free.perSecond, Math.floor(perSecond / 2)), learnedFrom: 'refusal' }
    : null;
}

/** What this answer to a call of that label teaches about the account's limits; null: nothing new. */
export function learnFrom(facts: LimitFacts, answer: Said, label: RateLabel): Learned | null {
  return fromHeaders(facts, answer) ?? (label === 'medium' && !answer.limit?.limit ? fromRefusal(facts, answer) : null);
}
