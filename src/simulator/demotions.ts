import type { SimulatedClock } from './simulated-clock.ts';
import type { Toggles } from './toggles.ts';
import { type Account, privilegesOf } from './world.ts';

/** Users who lost what their grants need, and how far that shows: the toggle `demotion`. */
export type Demotions = {
  /** from now on; `heldBefore` are the privileges until then */
  begin(accountId: string, userId: string, heldBefore: readonly string[]): void;
  end(accountId: string, userId: string): void;
  /** Privileges as Zoom lists them. */
  listed(account: Account, userId: string): readonly string[];
  /** Privileges as calls are measured by them. */
  enforced(account: Account, userId: string): readonly string[];
};

/** How long `nothing_for_hours` takes. */
const unnoticedMs = 4 * 60 * 60_000;

/** Demotions by account and user. */
export function createDemotions(deps: { readonly clock: SimulatedClock; toggles(): Toggles }): Demotions {
  const begun = new Map<string, { readonly sinceMs: number; readonly heldBefore: readonly string[] }>();
  const keyOf = (accountId: string, userId: string): string => `${accountId} ${userId}`;
  /** what they held before, as long as that still counts */
  const stillHeld = (account: Account, userId: string, forCalls: boolean): readonly string[] | null => {
    const demotion = begun.get(keyOf(account.id, userId));
    if (!demotion) return null;
    const reading = deps.toggles().demotion;
    const unnoticed = reading === 'nothing_for_hours' && deps.clock.nowMs() - demotion.sinceMs < unnoticedMs;
    return unnoticed || (forCalls && reading === 'shrinks_list') ? demotion.heldBefore : null;
  };
  return {
    begin(accountId, userId, heldBefore) {
      const key = keyOf(accountId, userId);
      // Demoted twice: the privileges from before the first time are the ones that go on showing.
      if (!begun.has(key)) begun.set(key, { sinceMs: deps.clock.nowMs(), heldBefore });
    },
    end: (accountId, userId) => void begun.delete(keyOf(accountId, userId)),
    listed: (account, userId) => stillHeld(account, userId, false) ?? privilegesOf(account, userId),
    enforced: (account, userId) => stillHeld(account, userId, true) ?? privilegesOf(account, userId),
  };
}
