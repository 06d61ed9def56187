import { createHash, createHmac } from 'node:crypto';
import { secretMark } from './secret-mark.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import type { Toggles } from './toggles.ts';
import type { App, World } from './world.ts';

/** Why a family of tokens ended, by Zoom's names for it. */
export type FamilyEnd = 'revoked' | 'uninstalled' | 'demoted' | 'consented_again' | 'other_consent' | 'reused';

/** Everything that came from one consent: one living refresh token, and access tokens. */
export type Family = {
  readonly id: string;
  readonly clientId: string;
  readonly accountId: string;
  readonly userId: string;
  readonly scopes: readonly string[];
  readonly consentedAtMs: number;
  rotatedAtMs: number;
  /** grows with each rotation */
  generation: number;
  ended: FamilyEnd | null;
};

export type SimToken = {
  readonly kind: 'access' | 'refresh';
  readonly family: Family;
  readonly generation: number;
  readonly expiresAtMs: number;
  /** rotated away, or ended by itself */
  replaced: boolean;
};

export type TokenPair = { readonly access: string; readonly refresh: string };

/** Why a token is not good any more; null: it is. */
export type TokenTrouble = FamilyEnd | 'user_gone' | 'expired' | 'replaced';

export type GrantFamilies = {
  begin(consent: { app: App; accountId: string; userId: string; scopes: readonly string[] }): {
    family: Family;
    pair: TokenPair;
  };
  rotate(family: Family): TokenPair;
  /** an access token only: Zoom keeps the refresh token (reading `refresh_token_null`) */
  renewAccess(family: Family): string;
  find(token: string): SimToken | undefined;
  trouble(token: SimToken): TokenTrouble | null;
  end(which: (family: Family) => boolean, because: FamilyEnd): Family[];
  list(): readonly Family[];
};

const hourMs = 3_600_000;
const refreshLifeMs = 90 * 24 * hourMs;

/** The same short text for the same token, from which nobody gets the token back. */
export const fingerprint = (token: string): string => createHash('sha256').update(token).digest('hex').slice(0, 12);

/** Which grant a family belongs to: one for client id, account and user, however often they consent. */
export const grantOf = ({ clientId, accountId, userId }: Family): string => `${clientId}/${accountId}/${userId}`;

/** Tokens by family, and what ends them. */
export function createGrantFamilies(deps: {
  readonly clock: SimulatedClock;
  readonly world: World;
  readonly seed: string;
  toggles(): Toggles;
}): GrantFamilies {
  const { clock, world } = deps;
  const families: Family[] = [];
  const tokens = new Map<string, SimToken>();
  const ofFamily = new Map<Family, SimToken[]>();
  let made = 0;

  // Three base64url parts, like Zoom's: whatever masks secrets must mask these.
  const newToken = (kind: string): string => {
    made += 1;
    const part = (what: string): string =>
      createHmac('sha256', deps.seed).update(`${kind}:${what}:${made}`).digest('base64url');
    return `eyJzdiI6IjAwMDAwMSIsImFsZyI6IkhTNTEyIn0.${secretMark}${part('payload')}.${part('signature')}`;
  };

  function keep(kind: SimToken['kind'], family: Family, lifeMs: number): string {
    const text = newToken(kind);
    const token: SimToken = {
      kind,
      family,
      generation: family.generation,
      expiresAtMs: clock.nowMs() + lifeMs,
      replaced: false,
    };
    tokens.set(text, token);
    ofFamily.set(family, [...(ofFamily.get(family) ?? []).filter((other) => !other.replaced), token]);
    return text;
  }

  function newPair(family: Family): TokenPair {
    const fixed = deps.toggles().refresh_lifetime === 'fixed';
    const refreshMs = fixed ? family.consentedAtMs + refreshLifeMs - clock.nowMs() : refreshLifeMs;
    return { access: keep('access', family, hourMs), refresh: keep('refresh', family, refreshMs) };
  }

  const replace = (family: Family, kinds: readonly SimToken['kind'][]): void => {
    for (const token of ofFamily.get(family) ?? []) if (kinds.includes(token.kind)) token.replaced = true;
  };

  const oldAccess = (): readonly SimToken['kind'][] => (deps.toggles().old_access_token === 'ends' ? ['access'] : []);

  return {
    begin({ app, accountId, userId, scopes }) {
      const family: Family = {
        id: `f${families.length + 1}`,
        clientId: app.clientId,
        accountId,
        userId,
        scopes,
        consentedAtMs: clock.nowMs(),
        rotatedAtMs: clock.nowMs(),
        generation: 1,
        ended: null,
      };
      families.push(family);
      return { family, pair: newPair(family) };
    },
    rotate(family) {
      replace(family, ['refresh', ...oldAccess()]);
      family.generation += 1;
      family.rotatedAtMs = clock.nowMs();
      return newPair(family);
    },
    renewAccess(family) {
      replace(family, oldAccess());
      return keep('access', family, hourMs);
    },
    find: (token) => tokens.get(token),
    trouble(token) {
      const { family } = token;
      if (family.ended) return family.ended;
      const user = world.accounts.get(family.accountId)?.population.byId(family.userId);
      if (user?.status !== 'active') return 'user_gone';
      if (token.replaced) return 'replaced';
      return token.expiresAtMs <= clock.nowMs() ? 'expired' : null;
    },
    end(which, because) {
      const ended = families.filter((family) => family.ended === null && which(family));
      for (const family of ended) family.ended = because;
      return ended;
    },
    list: () => families,
  };
}
