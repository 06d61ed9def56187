import type { Demotions } from './demotions.ts';
import type { Faults } from './faults.ts';
import type { GrantFamilies } from './grant-families.ts';
import type { Ledger } from './ledger.ts';
import type { RateLimits } from './rate-limits.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import type { Toggles } from './toggles.ts';
import type { Webhooks } from './webhooks.ts';
import type { World } from './world.ts';

/** A consent that waits for its exchange. */
export type PendingCode = {
  readonly clientId: string;
  readonly accountId: string;
  readonly userId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string | null;
  readonly scopes: readonly string[];
  readonly expiresAtMs: number;
  used: boolean;
};

/** A page token that was given out. */
export type PageToken = {
  readonly accountId: string;
  readonly status: string;
  readonly pageSize: number;
  readonly nextSlot: number;
  readonly expiresAtMs: number;
};

export type Meeting = {
  readonly id: number;
  readonly accountId: string;
  readonly hostId: string;
  readonly body: Record<string, unknown>;
};

/** Everything a simulated Zoom knows. */
export type ZoomState = {
  readonly clock: SimulatedClock;
  readonly world: World;
  readonly families: GrantFamilies;
  readonly ledger: Ledger;
  readonly faults: Faults;
  readonly limits: RateLimits;
  readonly webhooks: Webhooks;
  readonly codes: Map<string, PendingCode>;
  readonly pageTokens: Map<string, PageToken>;
  /** `account status` of walks whose page token was refused early already */
  readonly expiredEarly: Set<string>;
  readonly meetings: Map<string, Meeting>;
  /** `user day` → creates and updates */
  readonly hostUse: Map<string, number>;
  /** who lost what their grants need */
  readonly demotions: Demotions;
  readonly random: (length: number) => string;
  readonly toggles: () => Toggles;
  readonly setToggles: (changes: Readonly<Record<string, unknown>>) => Toggles;
  /** base URL of this simulator */
  baseUrl: string;
  /** what token answers name as `api_url` under the reading `own` */
  apiUrl: string;
};
