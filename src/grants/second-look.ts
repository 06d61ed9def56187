import type { DetachedRefreshes } from './detached-refreshes.ts';
import type { GrantState } from './grant-repository.ts';
import type { GrantView } from './grant-view.ts';

/** What a look brought: the state afterwards, or that none was due. */
export type SecondLook = { readonly kind: 'looked'; readonly state: GrantState } | { readonly kind: 'not_due' };

/**
 * Asks the token endpoint where a look is due: the second one of a suspect, and a recovery where a refresh ended
 * unknown or its process died – so that a lost answer is noticed within two minutes, not when somebody needs it.
 */
export function createSecondLook({
  refreshes,
  find,
}: {
  refreshes: DetachedRefreshes;
  find(grantId: string): Promise<GrantView | undefined>;
}) {
  return async function secondLook(grantId: string): Promise<SecondLook> {
    const view = await find(grantId);
    if (!view || (view.state !== 'suspect' && view.state !== 'living')) return { kind: 'not_due' };
    const due = view.state === 'suspect' ? view.lookInMs <= 0 : view.unsettled;
    const free = !view.leased && view.nextInMs <= 0 && !view.broken && view.pausedInMs <= 0 && !view.switchedOff;
    const started = due && free && view.sealedRefresh !== null ? refreshes.start(view, 'second_look') : null;
    if (!started) return { kind: 'not_due' };
    await started;
    return { kind: 'looked', state: (await find(grantId))?.state ?? 'gone' };
  };
}
