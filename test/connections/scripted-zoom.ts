import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import { defaultExpectations } from '../../src/connections/expectations.ts';
import type { Database } from '../../src/db/database.ts';
import { createGrants } from '../../src/grants/grants.ts';
import { createVault, type Vault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { secretMark } from '../../src/simulator/secret-mark.ts';
import type { ZoomAnswer, ZoomApi, ZoomFailure, ZoomUser } from '../../src/zoom/api.ts';
import { zoomEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth, type TokenAnswer, type ZoomClient, type ZoomOauth } from '../../src/zoom/oauth.ts';

const oldSecret = `old-${secretMark}`;
export const newSecret = `new-${secretMark}`;

const adminClient: ZoomClient = {
  kind: 'admin',
  clientId: 'admin_app',
  secrets: [new Secret(oldSecret), new Secret(newSecret)],
  redirectUri: 'https://steward.test/callback',
};

const personalClient: ZoomClient = {
  kind: 'personal',
  clientId: 'personal_app',
  secrets: [new Secret(oldSecret)],
  redirectUri: adminClient.redirectUri,
};

export const scriptedVault = createVault({
  keys: [{ id: 'k1', key: new Secret(Buffer.alloc(32, 7).toString('base64')) }],
  activeKeyId: 'k1',
});

export type ScriptedUser = {
  id: string;
  email: string;
  account: string;
  type?: number;
  status?: string | null;
  permissions?: string[];
};

type Family = { user: ScriptedUser; access: string; refresh: string | null; dead: boolean };

export const failure = (
  kind: ZoomFailure['kind'],
  more: Partial<ZoomFailure> = {},
): { ok: false; failure: ZoomFailure } => ({
  ok: false,
  failure: { kind, status: null, code: null, detail: `scripted ${kind}`, ...more },
});

/**
 * A Zoom whose every answer a test may replace, for the cases where the moment or the shape of one answer matters;
 * whole stories are played against the simulator. Consent, rotation and the user list behave as documented. Records
 * every call.
 */
export function createScriptedZoom() {
  const families: Family[] = [];
  const codes = new Map<string, { user: ScriptedUser; challenge: string | null }>();
  const calls: string[] = [];
  let issued = 0;
  const zoom = {
    calls,
    users: [] as ScriptedUser[],
    scopes: ['user:read:admin', 'meeting:read:admin', 'meeting:write:admin'] as string[] | null,
    /** answers instead of the ordinary one, by call name; null falls through */
    override: {} as Record<string, (() => Promise<unknown> | unknown) | undefined>,
    /** secrets the token endpoint takes */
    goodSecrets: [oldSecret, newSecret],
    /** a code as Zoom would put it on the callback after this user approved */
    approve(user: ScriptedUser, authorizeUrl: string): URLSearchParams {
      issued += 1;
      const url = new URL(authorizeUrl);
      const code = `code-${secretMark}-${issued}`;
      codes.set(code, { user, challenge: url.searchParams.get('code_challenge') });
      return new URLSearchParams({ code, state: url.searchParams.get('state') ?? '' });
    },
    /** every token of the user is dead from now on */
    revokeUser(userId: string): void {
      for (const family of families) if (family.user.id === userId) family.dead = true;
    },
    family: (userId: string) => families.findLast((family) => family.user.id === userId),
    families,
  };

  async function answer<T>(name: string, ordinary: () => T | Promise<T>): Promise<T> {
    calls.push(name);
    const instead = zoom.override[name];
    const value = instead ? await instead() : null;
    return value === null || value === undefined ? ordinary() : (value as T);
  }

  function issue(user: ScriptedUser): TokenAnswer {
    issued += 1;
    const family = {
      user,
      access: `access-${secretMark}-${issued}`,
      refresh: `refresh-${secretMark}-${issued}`,
      dead: false,
    };
    // The same user consenting again ends the earlier pair (4741).
    for (const other of families) if (other.user.id === user.id) other.dead = true;
    families.push(family);
    return tokensOf(family);
  }

  const tokensOf = (family: Family): TokenAnswer => ({
    kind: 'tokens',
    accessToken: new Secret(family.access),
    refreshToken: family.refresh === null ? null : new Secret(family.refresh),
    expiresInS: 3600,
    scopes: zoom.scopes,
    apiUrl: null,
  });

  const real = createZoomOauth({ endpoints: zoomEndpoints });
  const oauth: ZoomOauth = {
    ...real,
    exchangeCode: (_client, secret, { code, codeVerifier }) =>
      answer('exchange', (): TokenAnswer => {
        if (!zoom.goodSecrets.includes(secret.reveal()))
          return { kind: 'application', code: 'invalid_client', detail: 'scripted' };
        const known = codes.get(code.reveal());
        codes.delete(code.reveal());
        if (!known || codeVerifier.reveal() === '') return { kind: 'grant', code: 'invalid_grant', detail: 'scripted' };
        return issue(known.user);
      }),
    refresh: (_client, _secret, refreshToken) =>
      answer('refresh', (): TokenAnswer => {
        const family = families.find((one) => one.refresh === refreshToken.reveal());
        if (!family || family.dead) return { kind: 'grant', code: 'invalid_grant', detail: 'scripted' };
        issued += 1;
        family.access = `access-${secretMark}-${issued}`;
        family.refresh = `refresh-${secretMark}-${issued}`;
        return tokensOf(family);
      }),
    revoke: () => answer('revoke', () => ({ kind: 'revoked' as const })),
  };

  const userOf = (user: ScriptedUser): ZoomUser => ({
    id: user.status === 'pending' ? null : user.id,
    email: user.email,
    type: user.type ?? 2,
    status: user.status === undefined ? 'active' : user.status,
    accountId: user.account,
    roleId: '1',
    roleName: 'Admin',
    displayName: null,
    timeZone: null,
  });

  const as = async <T>(
    name: string,
    token: Secret,
    read: (user: ScriptedUser) => ZoomAnswer<T>,
  ): Promise<ZoomAnswer<T>> =>
    answer(name, (): ZoomAnswer<T> => {
      const family = families.find((one) => one.access === token.reveal() && !one.dead);
      return family ? read(family.user) : failure('token', { status: 401, code: 124 });
    });

  const unused = (): never => {
    throw new Error('scripted Zoom: this call is not played');
  };
  const api = {
    me: (auth) => as('me', auth.token, (user) => ({ ok: true, value: userOf(user) })),
    permissions: (auth) =>
      as('permissions', auth.token, (user) => ({ ok: true, value: user.permissions ?? ['User:Read', 'User:Edit'] })),
    listUsers: (auth, { status, pageSize, nextPageToken }) =>
      as(`users:${status}`, auth.token, (admin) => {
        const all = zoom.users.filter((user) => user.account === admin.account && (user.status ?? 'active') === status);
        const from = nextPageToken ? Number(nextPageToken.split(':')[1]) : 0;
        const users = all.slice(from, from + (pageSize ?? 300)).map(userOf);
        const next = from + users.length;
        return {
          ok: true,
          value: { users, nextPageToken: next < all.length ? `page:${next}` : null, totalRecords: all.length },
        };
      }),
    user: (auth, idOrEmail) =>
      as('user', auth.token, (admin) => {
        const user = zoom.users.find(
          (one) => one.account === admin.account && (one.id === idOrEmail || one.email === idOrEmail),
        );
        return user ? { ok: true, value: userOf(user) } : failure('not_found', { status: 404, code: 1001 });
      }),
    createMeeting: unused,
    updateMeeting: unused,
    deleteMeeting: unused,
  } as Partial<ZoomApi> as ZoomApi;

  return { zoom, oauth, api };
}

export type Scripted = ReturnType<typeof createScriptedZoom>;

/** Everything the life of connections needs, against a scripted Zoom. */
export function playConnections(
  db: Database,
  scripted: Scripted = createScriptedZoom(),
  vault: Vault = scriptedVault,
): { deps: ConnectionDeps; scripted: Scripted } {
  const { oauth, api } = scripted;
  const grants = createGrants({
    db,
    oauth,
    clients: [adminClient, personalClient],
    vault,
    api: zoomEndpoints,
    holder: 'test',
    pacedEveryMs: 0,
    times: { pollMs: 20 },
  });
  return {
    scripted,
    deps: {
      db,
      vault,
      grants,
      oauth,
      api,
      endpoints: zoomEndpoints,
      client: adminClient,
      expectations: defaultExpectations,
    },
  };
}
