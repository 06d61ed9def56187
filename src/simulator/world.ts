import { createPopulation, type Population, type UserPattern, type UserSpec } from './population.ts';

export type AppSpec = {
  readonly clientId: string;
  readonly secrets: readonly string[];
  /** `admin`: managed by an account's admins; `personal`: managed by each user */
  readonly kind: 'admin' | 'personal';
  /** exact, or `*` for any */
  readonly redirectUris: readonly string[];
  readonly scopes?: readonly string[];
  /** privileges a person needs to approve it; personal apps need none */
  readonly requires?: readonly string[];
};

export type RoleSpec = { readonly id: string; readonly name: string; readonly privileges: readonly string[] };

export type Plan = 'free' | 'pro' | 'business';

/** How Zoom counts a call against the limits of an account. */
export type RateLabel = 'light' | 'medium' | 'heavy';

/** Calls allowed, for all apps of an account together; perDay null: no limit. */
export type RateLimit = { readonly perSecond: number; readonly perDay: number | null };

export type AccountSpec = {
  readonly id: string;
  readonly plan?: Plan;
  /** what its contract allows, by label, instead of what its plan does */
  readonly limits?: Partial<Readonly<Record<RateLabel, RateLimit>>>;
  readonly users?: readonly UserSpec[];
  readonly patterns?: readonly UserPattern[];
  /** beside owner, admin and member, or instead of them */
  readonly roles?: readonly RoleSpec[];
};

/** What a simulated Zoom begins with. */
export type WorldSpec = { readonly apps?: readonly AppSpec[]; readonly accounts?: readonly AccountSpec[] };

export type App = {
  readonly clientId: string;
  readonly kind: 'admin' | 'personal';
  readonly redirectUris: readonly string[];
  secrets: readonly string[];
  scopes: readonly string[];
  readonly requires: readonly string[];
  disabled: boolean;
};

export type Account = {
  readonly id: string;
  readonly plan: Plan;
  readonly limits: Partial<Readonly<Record<RateLabel, RateLimit>>>;
  readonly population: Population;
  readonly roles: Map<string, RoleSpec>;
};

export type World = {
  readonly apps: Map<string, App>;
  readonly accounts: Map<string, Account>;
  addApp(spec: AppSpec): App;
  addAccount(spec: AccountSpec): Account;
  /** @throws when there is no such account */
  account(id: string): Account;
  /** @throws when there is no such app */
  app(clientId: string): App;
};

export const adminScopes: readonly string[] = ['user:read:admin', 'meeting:read:admin', 'meeting:write:admin'];
const personalScopes: readonly string[] = ['user:read', 'meeting:read', 'meeting:write'];

const adminPrivileges = ['User:Read', 'User:Edit', 'Role:Read', 'Role:Edit', 'AccountSetting:Read', 'Group:Read'];
const builtInRoles: readonly RoleSpec[] = [
  { id: '0', name: 'Owner', privileges: [...adminPrivileges, 'Billing:Edit'] },
  { id: '1', name: 'Admin', privileges: adminPrivileges },
  { id: '2', name: 'Member', privileges: [] },
];

/** Two apps whose client ids contain `_` – percent-encoded Basic shows at once – and one account of 300 users. */
export const defaultWorld: WorldSpec = {
  apps: [
    { clientId: 'sim_admin_app', secrets: ['sim-admin-secret'], kind: 'admin', redirectUris: ['*'] },
    { clientId: 'sim_personal_app', secrets: ['sim-personal-secret'], kind: 'personal', redirectUris: ['*'] },
  ],
  accounts: [
    {
      id: 'acc_simulator',
      users: [
        { id: 'zu_owner', email: 'owner@simulator.example', roleId: '0' },
        { id: 'zu_admin', email: 'admin@simulator.example', roleId: '1' },
      ],
      patterns: [
        {
          count: 298,
          id: 'zu_{n}',
          email: 'member-{n}@simulator.example',
          cycle: [
            ...Array.from({ length: 17 }, () => ({})),
            { type: 1 },
            { status: 'pending' },
            { status: 'inactive' },
          ],
        },
      ],
    },
  ],
};

/** Apps and accounts of a simulated Zoom. */
export function createWorld(spec: WorldSpec): World {
  const apps = new Map<string, App>();
  const accounts = new Map<string, Account>();
  const world: World = {
    apps,
    accounts,
    addApp(app) {
      if (apps.has(app.clientId)) throw new Error(`Expected a new client id, got ${app.clientId} again`);
      const admin = app.kind === 'admin';
      const added: App = {
        clientId: app.clientId,
        kind: app.kind,
        redirectUris: app.redirectUris,
        secrets: app.secrets,
        scopes: app.scopes ?? (admin ? adminScopes : personalScopes),
        requires: app.requires ?? (admin ? ['User:Read', 'User:Edit'] : []),
        disabled: false,
      };
      apps.set(app.clientId, added);
      return added;
    },
    addAccount({ id, plan = 'business', limits = {}, users = [], patterns = [], roles = [] }) {
      if (accounts.has(id)) throw new Error(`Expected a new account id, got ${id} again`);
      const population = createPopulation();
      for (const user of users) population.add(user);
      for (const pattern of patterns) population.addPattern(pattern);
      const account: Account = {
        id,
        plan,
        limits,
        population,
        roles: new Map([...builtInRoles, ...roles].map((role) => [role.id, role])),
      };
      accounts.set(id, account);
      return account;
    },
    account(id) {
      const account = accounts.get(id);
      if (!account) throw new Error(`Expected an account (${[...accounts.keys()].slice(0, 5).join(', ')}), got ${id}`);
      return account;
    },
    app(clientId) {
      const app = apps.get(clientId);
      if (!app) throw new Error(`Expected a client id (${[...apps.keys()].slice(0, 5).join(', ')}), got ${clientId}`);
      return app;
    },
  };
  for (const app of spec.apps ?? []) world.addApp(app);
  for (const account of spec.accounts ?? []) world.addAccount(account);
  return world;
}

/** Effective privileges of a user by their role; nobody has any once they are not active. */
export function privilegesOf(account: Account, userId: string): readonly string[] {
  const user = account.population.byId(userId);
  if (user?.status !== 'active') return [];
  return account.roles.get(user.roleId)?.privileges ?? [];
}
