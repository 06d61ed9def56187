import { signMemberClaim } from './claim.ts';
import { createRequester, type Requester } from './http.ts';

/** Member of the organization on whose behalf the main app acts: an owner or admin, except for what is a member's own. */
export type ActingMember = { readonly organizationId: string; readonly memberId: string };

type CallOptions = {
  readonly url?: string;
  readonly serviceKey?: string;
  readonly timeoutMs?: number;
  readonly claimSecret?: string;
};

/** Calls of the server process, made in the main app's name or in that of a member. */
export type Calls = {
  readonly request: Requester;
  /** reads something of an organization */
  get<T>(organizationId: string, path: string): Promise<T>;
  /** says what a member wants of their organization: not configured means a promise that rejects, as every other failure does */
  as<T>(who: ActingMember, path: string, body: unknown, method?: 'POST' | 'PATCH' | 'DELETE'): Promise<T>;
};

/** Path of something that an organization has. */
export const organizationPath = (id: string, what: string): string =>
  `/v1/organizations/${encodeURIComponent(id)}/${what}`;

/** The same, as a page that begins after a key. */
export const pageOf = (what: string, after: string | undefined): string =>
  after === undefined ? what : `${what}?after=${encodeURIComponent(after)}`;

export function createCalls({ url, serviceKey, timeoutMs, claimSecret }: CallOptions): Calls {
  const request =
    url && serviceKey
      ? createRequester({ url, serviceKey, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
      : async () => {
          throw new Error(
            'createSteward: this call goes to the server process; expected url and serviceKey, got none; pass both',
          );
        };
  const claim = (who: ActingMember): string => {
    if (!claimSecret) {
      throw new Error(
        'createSteward: acting for a member needs claimSecret; pass the secret that the server knows as STEWARD_CLAIM_SECRET',
      );
    }
    return signMemberClaim(claimSecret, who);
  };
  return {
    request,
    get: (organizationId, path) => request({ method: 'GET', path: organizationPath(organizationId, path) }),
    as: async (who, path, body, method = 'POST') =>
      request({
        method,
        path: organizationPath(who.organizationId, path),
        ...(body === undefined ? {} : { body }),
        claim: claim(who),
      }),
  };
}
