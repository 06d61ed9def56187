/** Where calls go, and which regional base Zoom names may be followed (zoom-api, OAuth). */
export type TrustedApi = { readonly apiBase: string; trustedApiBase(url: string): boolean };

/** Assumed when Zoom does not say: below the documented hour. */
const defaultExpiryS = 50 * 60;
const longestExpiryS = 24 * 60 * 60;
const scopeShape = /^[\x21-\x7e]{1,200}$/;

/** Seconds the access token lives. Nothing Zoom says here may keep a new pair from being stored. */
export function expiresInS(said: number | null): number {
  if (said === null || !Number.isFinite(said) || said <= 0) return defaultExpiryS;
  return Math.min(Math.floor(said), longestExpiryS);
}

/** The scopes Zoom named, or null if it named none: then the known ones hold. */
export function knownScopes(said: readonly string[] | null): string[] | null {
  const scopes = (said ?? []).filter((scope) => scopeShape.test(scope));
  return scopes.length > 0 ? [...new Set(scopes)] : null;
}

/** The regional base if it is Zoom's, else null: the caller keeps the base it has. */
export function apiBaseOf(said: string | null, api: TrustedApi): string | null {
  return said !== null && api.trustedApiBase(said) ? said.replace(/\/+$/, '') : null;
}
