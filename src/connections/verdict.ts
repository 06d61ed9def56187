import type { ZoomAnswer, ZoomFailure } from '../zoom/api.ts';
import { type Expectations, unmetScopes } from './expectations.ts';

/** What was learned by looking: one grant, asked three things. */
export type LookFacts = {
  readonly grant:
    | { readonly state: 'usable' }
    | { readonly state: 'dead'; readonly reason: string }
    | { readonly state: 'unavailable'; readonly reason: string };
  /** GET /users/me */
  readonly me: ZoomAnswer<{ readonly status: string | null }> | null;
  /** GET /users/me/permissions */
  readonly permissions: ZoomAnswer<readonly string[]> | null;
  /** GET /users with one user: does a call that needs the role work at all? */
  readonly users: ZoomAnswer<unknown> | null;
  /** scopes of the grant as Zoom last named them; empty: it did not */
  readonly scopes: readonly string[];
};

/** Something that is missing, in words for the page: `scope: create meetings`, `permission: User:Edit` … */
export type Missing = string;

/**
 * passed: everything required is there; warnings name wished things that are not.
 * failed: `evidence` says how we know – lists: something required is not listed, but calls work; calls: a call failed
 * for want of it; grant: the grant is dead.
 * inconclusive: Zoom did not say, or spoke about our application; it never changes a state.
 */
export type Verdict =
  | { readonly result: 'passed'; readonly warnings: readonly Missing[] }
  | { readonly result: 'failed'; readonly missing: readonly Missing[]; readonly evidence: 'lists' | 'calls' | 'grant' }
  | { readonly result: 'inconclusive'; readonly reason: string };

/** What a failed call is evidence of: something missing, in words; null: nothing about this user. */
export function missingBy(call: string, failure: ZoomFailure): Missing[] | null {
  switch (failure.kind) {
    case 'token':
      return [`access: Zoom refuses the token (${call})`];
    case 'missing_scope':
      return [`scope: ${failure.scopes && failure.scopes.length > 0 ? failure.scopes.join(', ') : call}`];
    case 'missing_permission':
      return [`permission to ${call}`];
    case 'not_found':
      return call === 'read users' ? ['user: the authorizing user is gone from the account'] : null;
    case 'cannot_host':
    case 'rate_limited':
    case 'host_daily_limit':
    case 'server':
    case 'network':
    case 'application':
    case 'page_token':
    case 'unexpected':
      return null;
    default:
      failure.kind satisfies never;
      return null;
  }
}

/**
 * Judges an authorizing user from facts alone (behaviour §3.5, §7). Needs an active user with the required scopes,
 * in either spelling, and permissions. Doubt wins over evidence: if Zoom failed to answer any question, nothing is
 * concluded – except from a dead grant, which was looked at twice already.
 */
export function judge(facts: LookFacts, expectations: Expectations): Verdict {
  if (facts.grant.state === 'dead') {
    return { result: 'failed', missing: [`access: ${facts.grant.reason}`], evidence: 'grant' };
  }
  if (facts.grant.state === 'unavailable') return { result: 'inconclusive', reason: facts.grant.reason };

  const failedCalls: Missing[] = [];
  const doubts: string[] = [];
  const asked = [
    ['read users', facts.me],
    ['list users', facts.users],
  ] as const;
  for (const [call, answer] of asked) {
    if (answer === null) doubts.push(`${call}: not asked`);
    else if (!answer.ok) {
      const missing = missingBy(call, answer.failure);
      if (missing) failedCalls.push(...missing);
      else doubts.push(`${call}: ${answer.failure.kind}`);
    }
  }
  const listed = listedPermissions(facts.permissions);
  if (listed.doubt !== null) doubts.push(listed.doubt);
  if (doubts.length > 0) return { result: 'inconclusive', reason: doubts.join('; ') };
  if (failedCalls.length > 0) return { result: 'failed', missing: [...new Set(failedCalls)], evidence: 'calls' };

  const lacking: Missing[] = [];
  const warnings: Missing[] = [];
  const status = facts.me?.ok ? facts.me.value.status : null;
  if (status !== null && status !== 'active') lacking.push(`user: the authorizing user is ${status}, not active`);
  for (const need of unmetScopes(expectations.requiredScopes, facts.scopes)) lacking.push(scopeText(need));
  for (const need of unmetScopes(expectations.wishedScopes, facts.scopes)) warnings.push(scopeText(need));
  if (listed.permissions) {
    const held = new Set(listed.permissions);
    for (const name of expectations.requiredPermissions) if (!held.has(name)) lacking.push(`permission: ${name}`);
    for (const name of expectations.wishedPermissions) if (!held.has(name)) warnings.push(`permission: ${name}`);
  } else {
    warnings.push('scope: read permissions');
  }
  if (lacking.length > 0) return { result: 'failed', missing: lacking, evidence: 'lists' };
  return { result: 'passed', warnings: [...new Set(warnings)] };
}

const scopeText = (need: { readonly call: string; readonly anyOf: readonly string[] }): Missing =>
  `scope: ${need.call} (${need.anyOf.join(' or ')})`;

/** The listed permissions, null if our scopes or the role do not let us read the list, or a doubt. */
function listedPermissions(answer: LookFacts['permissions']): {
  readonly permissions: readonly string[] | null;
  readonly doubt: string | null;
} {
  if (answer === null) return { permissions: null, doubt: 'read permissions: not asked' };
  if (answer.ok) return { permissions: answer.value, doubt: null };
  const { kind } = answer.failure;
  // Not being allowed to read the list is no failing call of the product's: the calls above decide.
  if (kind === 'missing_scope' || kind === 'missing_permission' || kind === 'token')
    return { permissions: null, doubt: null };
  return { permissions: null, doubt: `read permissions: ${kind}` };
}
