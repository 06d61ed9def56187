/** What one call needs: any one of the alternatives, which are the classic and the granular spelling. */
export type ScopeNeed = { readonly call: string; readonly anyOf: readonly string[] };

/** What the authorizing Zoom user must have, and what only warns. Configuration. */
export type Expectations = {
  readonly requiredScopes: readonly ScopeNeed[];
  readonly wishedScopes: readonly ScopeNeed[];
  /** privileges as GET /users/me/permissions names them */
  readonly requiredPermissions: readonly string[];
  /** nobody has confirmed that these are needed: they only warn */
  readonly wishedPermissions: readonly string[];
};

/**
 * Defaults from zoom-api.md: scopes of every call the worker makes; of the permissions only User:Read is known to
 * gate a call (listing users). Which one gates creating meetings for others is unknown – most likely User:Edit –,
 * so that one is wished.
 */
export const defaultExpectations: Expectations = {
  requiredScopes: [
    { call: 'read users', anyOf: ['user:read:admin', 'user:read:user:admin'] },
    { call: 'list users', anyOf: ['user:read:admin', 'user:read:list_users:admin'] },
    { call: 'create meetings', anyOf: ['meeting:write:admin', 'meeting:write:meeting:admin'] },
    { call: 'change meetings', anyOf: ['meeting:write:admin', 'meeting:update:meeting:admin'] },
    { call: 'delete meetings', anyOf: ['meeting:write:admin', 'meeting:delete:meeting:admin'] },
  ],
  wishedScopes: [
    { call: 'read permissions', anyOf: ['user:read:admin', 'user:read:list_permissions:admin'] },
    { call: 'read meetings', anyOf: ['meeting:read:admin', 'meeting:read:meeting:admin'] },
  ],
  requiredPermissions: ['User:Read'],
  wishedPermissions: ['User:Edit'],
};

/** What an installation expects: its own lists of privileges where it names them. */
export const expectationsOf = ({
  requiredPermissions,
  wishedPermissions,
}: {
  readonly requiredPermissions: readonly string[] | null;
  readonly wishedPermissions: readonly string[] | null;
}): Expectations => ({
  ...defaultExpectations,
  ...(requiredPermissions && { requiredPermissions }),
  ...(wishedPermissions && { wishedPermissions }),
});

/**
 * Needs that no granted scope meets. Whole words, case-sensitive. An empty list means that Zoom did not name the
 * scopes: then nothing is known to be missing, and calls decide.
 */
export function unmetScopes(needs: readonly ScopeNeed[], granted: readonly string[]): ScopeNeed[] {
  if (granted.length === 0) return [];
  const held = new Set(granted);
  return needs.filter((need) => !need.anyOf.some((scope) => held.has(scope)));
}
