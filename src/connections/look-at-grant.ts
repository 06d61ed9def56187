import { setTimeout } from 'node:timers/promises';
import type { CallResult } from '../grants/call.ts';
import type { ZoomAnswer } from '../zoom/api.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import type { LookFacts } from './verdict.ts';

type Trouble = Exclude<CallResult<unknown>, { kind: 'answer' }>;

function grantTrouble(trouble: Trouble): LookFacts['grant'] {
  switch (trouble.kind) {
    case 'dead':
      // A grant that we are giving up ourselves says nothing about the customer.
      return trouble.reason === 'retiring' || trouble.reason === 'gone'
        ? { state: 'unavailable', reason: `grant ${trouble.reason}` }
        : { state: 'dead', reason: trouble.reason };
    case 'temporarily_unavailable':
      return { state: 'unavailable', reason: trouble.reason };
    case 'vault_unreadable':
      return { state: 'unavailable', reason: 'vault_unreadable' };
    default:
      trouble satisfies never;
      return { state: 'unavailable', reason: 'unknown' };
  }
}

/** Pauses before a question that Zoom did not answer is asked again: a look with three of them must survive hiccups. */
export const defaultLookAgainMs: readonly number[] = [300, 900, 2_700];
const longestLimitMs = 3_000;

/** Whether asking again at once may bring an answer; of a limit only that of a second. */
function isHiccup(answer: ZoomAnswer<unknown>): boolean {
  if (answer.ok) return false;
  const { kind, retryAfterMs } = answer.failure;
  if (kind === 'rate_limited') return (retryAfterMs ?? 0) <= longestLimitMs;
  return kind === 'server' || kind === 'network' || kind === 'unexpected';
}

/**
 * Looks at a grant: three calls at Zoom (who am I, what may I, does listing work), each retried once with a newer
 * token if Zoom refuses the token, and a few times where Zoom gives no answer. Writes nothing and needs no transaction.
 */
export async function lookAtGrant(
  deps: Pick<ConnectionDeps, 'grants' | 'api' | 'lookAgainMs'>,
  grantId: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<LookFacts> {
  const options = signal ? { signal } : {};
  let scopes: readonly string[] = [];
  let grant: LookFacts['grant'] = { state: 'usable' };
  async function ask<T>(work: Parameters<typeof deps.grants.call<T>>[1]): Promise<ZoomAnswer<T> | null> {
    if (grant.state !== 'usable') return null;
    let got = await deps.grants.call(grantId, work, options);
    for (const ms of deps.lookAgainMs ?? []) {
      if (got.kind !== 'answer' || !isHiccup(got.answer) || signal?.aborted) break;
      await setTimeout(ms, undefined, { signal }).catch(() => {});
      got = await deps.grants.call(grantId, work, options);
    }
    if (got.kind === 'answer') {
      scopes = got.scopes;
      return got.answer;
    }
    grant = grantTrouble(got);
    return null;
  }
  const me = await ask((auth) => deps.api.me(auth));
  const permissions = await ask((auth) => deps.api.permissions(auth));
  const users = await ask((auth) => deps.api.listUsers(auth, { status: 'active', pageSize: 1 }));
  return { grant, me, permissions, users, scopes };
}
