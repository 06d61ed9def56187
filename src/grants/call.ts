import type { Secret } from '../secret.ts';
import type { ZoomAnswer } from '../zoom/api.ts';
import type { AccessTokenOptions, AccessTokenResult } from './access-token.ts';

/** What a Zoom call needs of a grant. */
export type GrantAuth = { readonly token: Secret; readonly apiBase: string; readonly signal?: AbortSignal };

export type CallResult<T> =
  | {
      readonly kind: 'answer';
      readonly answer: ZoomAnswer<T>;
      readonly version: number;
      readonly scopes: readonly string[];
    }
  | Exclude<AccessTokenResult, { kind: 'token' }>;

/**
 * Runs a Zoom call with a token of this grant. If Zoom refuses the token itself (124), once more with a newer one:
 * a refresh is forced only while the refused version is still the current one. A grant known to be dead is never
 * called. The second answer is given as it is: only the token endpoint says that a grant is dead.
 */
export function createCall(accessToken: (grantId: string, options?: AccessTokenOptions) => Promise<AccessTokenResult>) {
  return async function call<T>(
    grantId: string,
    work: (auth: GrantAuth) => Promise<ZoomAnswer<T>>,
    options: AccessTokenOptions = {},
  ): Promise<CallResult<T>> {
    const once = async (wish: AccessTokenOptions): Promise<CallResult<T>> => {
      const got = await accessToken(grantId, wish);
      if (got.kind !== 'token') return got;
      const { token, apiBase, version, scopes } = got;
      const answer = await work({ token, apiBase, ...(options.signal && { signal: options.signal }) });
      return { kind: 'answer', answer, version, scopes };
    };
    const first = await once(options);
    if (first.kind !== 'answer' || first.answer.ok || first.answer.failure.kind !== 'token') return first;
    return await once({ ...options, notVersion: first.version });
  };
}
