import type { DeadReason } from './grant-repository.ts';
import type { GrantView } from './grant-view.ts';
import type { RefreshCause } from './refresh-attempt-repository.ts';
import type { RefreshTimes } from './refresh-times.ts';

/** Why there is no token just now, although the grant is not known to be dead. */
export type Unavailable =
  | 'patience_over'
  | 'outcome_unknown'
  | 'backing_off'
  | 'application'
  | 'rate_limited'
  | 'suspect'
  | 'paused'
  | 'token_refused'
  | 'no_refresh_token'
  | 'client_not_configured'
  | 'shutting_down'
  | 'aborted';

export type TokenWish = {
  /** milliseconds the token should still live */
  readonly minLeftMs: number;
  /** a version whose access token Zoom refused: only a newer one will do */
  readonly notVersion?: number;
  /** for revoking: a retiring grant is served as well */
  readonly release?: boolean;
};

export type TokenStep =
  | { readonly kind: 'use' }
  | { readonly kind: 'dead'; readonly reason: DeadReason | 'retiring' | 'gone' }
  | { readonly kind: 'refuse'; readonly reason: Unavailable }
  /** somebody else is at it, or it is too early: look again, `forMs` from now at the latest worth waiting for */
  | { readonly kind: 'wait'; readonly forMs: number; readonly reason: Unavailable }
  | { readonly kind: 'refresh'; readonly cause: RefreshCause };

/** Step 0 of lifecycle §3 and what follows it, for one caller and what is known now. Pure. */
export function decideToken(view: GrantView, wish: TokenWish, times: RefreshTimes): TokenStep {
  if (view.state === 'dead') return { kind: 'dead', reason: view.deadReason ?? 'revoked' };
  if (view.state === 'gone') return { kind: 'dead', reason: 'gone' };
  if (view.state === 'retiring' && !wish.release) return { kind: 'dead', reason: 'retiring' };
  if (view.switchedOff) return { kind: 'refuse', reason: 'paused' };

  // One refusal is enough: Zoom may disable an app whose share of failing calls is high.
  const wanted = view.sealedAccess !== null && view.version !== wish.notVersion && !view.accessRefused;
  // A token that Zoom gave for less than what is wanted must not be rotated on and on.
  const minLeftMs = Math.min(wish.minLeftMs, Math.max(view.lifetimeMs / 2, 0));
  if (wanted && view.leftMs > 0 && view.leftMs >= minLeftMs) return { kind: 'use' };
  // Somebody's refresh may have ended the old token already: its outcome is worth waiting for.
  if (view.leased || view.open) return { kind: 'wait', forMs: 0, reason: 'patience_over' };

  const otherwise = (step: TokenStep): TokenStep =>
    wanted && view.leftMs >= times.lastResortLeftMs ? { kind: 'use' } : step;
  if (view.sealedRefresh === null) return otherwise({ kind: 'refuse', reason: 'no_refresh_token' });
  if (view.lookInMs > 0) return otherwise({ kind: 'refuse', reason: 'suspect' });
  if (view.broken) return otherwise({ kind: 'refuse', reason: 'application' });
  if (view.pausedInMs > 0) return otherwise({ kind: 'wait', forMs: view.pausedInMs, reason: 'rate_limited' });
  if (view.nextInMs > 0) {
    return otherwise({
      kind: 'wait',
      forMs: view.nextInMs,
      reason: view.unsettled ? 'outcome_unknown' : 'backing_off',
    });
  }
  if (wish.release) return { kind: 'refresh', cause: 'release' };
  if (view.state === 'suspect') return { kind: 'refresh', cause: 'second_look' };
  return { kind: 'refresh', cause: view.version === wish.notVersion ? 'token_refused' : 'needed' };
}
