/** Medium calls – listing users is one – that Zoom allows an account, for all apps together. */
export type MediumLimits = {
  readonly perSecond: number;
  /** a UTC day; null: no limit */
  readonly perDay: number | null;
};

/** Zoom's published plans (zoom-api, Rate limits). */
export const plans = {
  free: { perSecond: 2, perDay: 2_000 },
  pro: { perSecond: 20, perDay: null },
  business: { perSecond: 60, perDay: null },
} as const satisfies Readonly<Record<string, MediumLimits>>;
export type Plan = keyof typeof plans;

/** Light calls a second, which tell the plans apart where nothing is known of medium ones. */
const lightPerSecond = { pro: 30, business: 80 } as const;
/** Above Free's light limit and below Pro's medium one: of an account with fewer a second, the days are limited too. */
const freeAtMost = 4;

/** What is known of an account's limits; null: not known. */
export type LimitFacts = {
  readonly mediumPerSecond: number | null;
  readonly mediumPerDay: number | null;
  readonly lightPerSecond: number | null;
  readonly lightPerDay: number | null;
  readonly learnedFrom: 'headers' | 'refusal' | null;
  /** what an operator says the contract allows */
  readonly stated: MediumLimits | null;
};

export type AccountLimits = MediumLimits & { readonly from: 'stated' | 'headers' | 'refusal' | 'assumed' };

function planByLight({ lightPerSecond: perSecond, lightPerDay: perDay }: LimitFacts): Plan | null {
  if (perDay !== null) return 'free';
  if (perSecond === null) return null;
  return perSecond >= lightPerSecond.business ? 'business' : perSecond >= lightPerSecond.pro ? 'pro' : 'free';
}

/**
 * The limits to work with: what was stated, else what Zoom said, else Pro's. What headers say beyond Business is not
 * believed: a contract is stated.
 */
export function limitsOf(facts: LimitFacts): AccountLimits {
  const { stated, mediumPerSecond, mediumPerDay, learnedFrom } = facts;
  if (stated) return { ...stated, from: 'stated' };
  if (mediumPerSecond === null && mediumPerDay === null) {
    const plan = planByLight(facts);
    return plan === null ? { ...plans.pro, from: 'assumed' } : { ...plans[plan], from: 'headers' };
  }
  const perSecond = Math.min(mediumPerSecond ?? plans.free.perSecond, plans.business.perSecond);
  return {
    perSecond,
    perDay: mediumPerDay ?? (perSecond <= freeAtMost ? plans.free.perDay : null),
    from: learnedFrom ?? 'headers',
  };
}

const leastShare = 0.01;

/** Milliseconds from one page of a walk to the next, so that it takes this share (0–1) of the account's limit. */
export const paceMsOf = ({ perSecond }: MediumLimits, share: number): number =>
  Math.ceil(1_000 / (perSecond * Math.max(share, leastShare)));

/** Calls of walks a UTC day: our share of the daily limit; null: as many as they need. */
export const dailyCallsOf = ({ perDay }: MediumLimits, share: number): number | null =>
  perDay === null ? null : Math.max(1, Math.floor(perDay * Math.max(share, leastShare)));

/** Calls that end a walk: the last pages of three states, none of which need be full. */
const lastPages = 3;

/**
 * Whether a walk may begin today: not one that would have to stop in the middle, lose its page tokens overnight and begin
 * anew, if it fits into a whole day.
 */
export function mayBegin(
  budget: number | null,
  { callsToday, users, pageSize }: { readonly callsToday: number; readonly users: number; readonly pageSize: number },
): boolean {
  if (budget === null) return true;
  const needed = Math.ceil(users / pageSize) + lastPages;
  return callsToday < budget && (needed > budget || callsToday + needed <= budget);
}
