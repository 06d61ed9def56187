import { Secret } from '../secret.ts';
import { applyTransition } from './apply-transition.ts';
import { lockConnection } from './authority.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { type CallbackRefusal, consumeState, type EndedAttempt, endAttempt } from './consume-state.ts';
import { codeOf, exchangeCode, stateOf } from './exchange-code.ts';
import { fileCandidate } from './file-candidate.ts';
import { identifyCandidate } from './identify-candidate.ts';

export type FinishResult =
  | { readonly kind: 'exchanged'; readonly candidateId: string; readonly connectionId: string; readonly linkId: string }
  | { readonly kind: 'refused'; readonly why: CallbackRefusal; readonly linkId: string | null };

/**
 * The callback. The state is consumed before the code is exchanged; what Zoom gives is committed before anything else
 * happens; then Zoom is asked who consented. A callback without a state of ours exchanges nothing.
 * @param browser value of the cookie that beginAttempt returned
 */
export async function finishAttempt(
  deps: ConnectionDeps,
  { params, browser }: { readonly params: URLSearchParams; readonly browser: Secret | null },
): Promise<FinishResult> {
  const state = stateOf(params);
  if (state === null) return { kind: 'refused', why: 'no_state', linkId: null };
  const attempt = await deps.db.transaction().execute((trx) => consumeState(deps, trx, state, browser));
  if ('why' in attempt) return { kind: 'refused', ...attempt };

  const end = async (attemptEnd: EndedAttempt): Promise<FinishResult> => {
    const why = attemptEnd.outcome as CallbackRefusal;
    await deps.db.transaction().execute(async (trx) => {
      await lockConnection(trx, attempt.connectionId);
      await endAttempt(trx, attempt.id, attemptEnd);
      await applyTransition(trx, {
        connectionId: attempt.connectionId,
        event: why === 'application_error' ? 'exchange_refused_for_our_app' : 'attempt_failed',
        actor: 'zoom',
        reason: why,
        data: { linkId: attempt.linkId, attemptId: attempt.id },
      });
    });
    return { kind: 'refused', why, linkId: attempt.linkId };
  };

  const code = codeOf(deps, deps.client, params, state);
  if (code === 'denied') return end({ state: 'denied', outcome: 'denied' });
  if (!(code instanceof Secret)) return end({ state: 'done', outcome: code });
  const answer = await exchangeCode(deps, deps.client, code, attempt.verifier);
  switch (answer.kind) {
    case 'tokens': {
      const candidateId = await fileCandidate(deps, attempt, answer);
      await identifyCandidate(deps, candidateId);
      return { kind: 'exchanged', candidateId, connectionId: attempt.connectionId, linkId: attempt.linkId };
    }
    case 'grant':
      return end({ state: 'done', outcome: 'code_refused' });
    case 'application':
      return end({ state: 'done', outcome: 'application_error' });
    case 'not_sent':
    case 'unknown':
    case 'server':
      return end({ state: 'done', outcome: 'answer_unknown' });
    default:
      answer satisfies never;
      throw new Error('unreachable');
  }
}
