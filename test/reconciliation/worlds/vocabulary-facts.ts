import { addressKey } from '../../../src/reconciliation/oracle-match.ts';
import type {
  ManagedZoom,
  World,
  WorldConnection,
  WorldMember,
  WorldSettings,
  WorldZoomUser,
} from '../../../src/reconciliation/oracle-world.ts';
import { type Phrasebook, phrases, read } from './phrases.ts';

/** Account of the connection in worlds written by hand. */
const account = 'acme';

export type OrganizationCell = { readonly connection: WorldConnection | null; readonly settings: WorldSettings };

const connected: WorldConnection = {
  state: 'active',
  everDisconnected: false,
  disconnectCause: null,
  zoomAccountId: account,
  generation: 4,
  restoreGenerations: [],
  observe: false,
};

/** An organization as usual: active, without special settings. */
export const usualOrganization: OrganizationCell = {
  connection: connected,
  settings: { allowOptOut: false, rollout: { to: 'all' }, fallback: null, sharedHost: null, zoomForNew: false },
};

const causes: Readonly<Record<string, WorldConnection['disconnectCause']>> = {
  'by the deadline': 'deadline',
  'by the end of the plan': 'plan_ended',
  'by deletion': 'organization_deleted',
};

const connect = (cell: OrganizationCell, change: Partial<WorldConnection>): OrganizationCell => ({
  ...cell,
  connection: { ...(cell.connection ?? connected), ...change },
});
const set = (cell: OrganizationCell, change: Partial<WorldSettings>): OrganizationCell => ({
  ...cell,
  settings: { ...cell.settings, ...change },
});

/** Phrases of the column Organization. */
export const organizationPhrases: Phrasebook<OrganizationCell> = [
  [/no connection/, (cell) => ({ ...cell, connection: null })],
  [/active/, (cell) => connect(cell, { state: 'active', everDisconnected: false, disconnectCause: null })],
  [/interrupted/, (cell) => connect(cell, { state: 'interrupted', everDisconnected: false, disconnectCause: null })],
  [/pending/, (cell) => connect(cell, { state: 'pending' })],
  [
    /(disconnecting|disconnected)(?: (by .+))?/,
    (cell, state, by) => {
      const cause = by === undefined ? 'person' : causes[by];
      if (!cause) throw new Error(`expected one of ${Object.keys(causes).join(', ')}, got "${by}"`);
      const now = state === 'disconnecting' ? 'disconnecting' : 'none';
      return connect(cell, { state: now, everDisconnected: true, disconnectCause: cause });
    },
  ],
  [/observed/, (cell) => connect(cell, { observe: true })],
  [/opt-out allowed/, (cell) => set(cell, { allowOptOut: true })],
  [/opt-out not allowed/, (cell) => set(cell, { allowOptOut: false })],
  [/rollout to group (\w+)/, (cell, group) => set(cell, { rollout: { to: 'groups', groups: [`${group}`] } })],
  [/rollout to domain (\S+)/, (cell, domain) => set(cell, { rollout: { to: 'domains', domains: [`${domain}`] } })],
  [/shared host (\w+)/, (cell, user) => set(cell, { sharedHost: `${user}` })],
  [/Zoom for new event types/, (cell) => set(cell, { zoomForNew: true })],
  [/fallback phone/, (cell) => set(cell, { fallback: { kind: 'outbound_call', details: { phone: '+49 30 1234' } } })],
];

/** The organization that a cell describes. */
export const readOrganization = (cell: string): OrganizationCell => read(organizationPhrases, usualOrganization, cell);

/** A member as usual: active, verified, known since before the last walk. */
export function usualMember(name: string): WorldMember {
  return {
    id: name,
    active: true,
    email: `${name.toLowerCase()}@acme.test`,
    emailVerified: true,
    groups: [],
    optedOut: false,
    managed: null,
    external: null,
    mapping: null,
    earlierMatch: null,
    addressSeenBeforeWalk: true,
  };
}

/** A member of a cell; null: the member left. */
export type MemberCell = WorldMember | null;

const here =
  (change: (member: WorldMember, ...words: string[]) => Partial<WorldMember>) =>
  (member: MemberCell, ...words: string[]): MemberCell =>
    member ? { ...member, ...change(member, ...words) } : null;

/** Phrases of the columns Ann and People. */
export const memberPhrases: Phrasebook<MemberCell> = [
  [/as usual/, (member) => member],
  [/deactivated/, here(() => ({ active: false }))],
  [/left/, () => null],
  [/opted out/, here(() => ({ optedOut: true }))],
  [/unverified/, here(() => ({ emailVerified: false }))],
  [/in group (\w+)/, here((member, group) => ({ groups: [...member.groups, `${group}`] }))],
  [/address (\S+)/, here((_, email) => ({ email: `${email}` }))],
  [/joined after the walk/, here(() => ({ addressSeenBeforeWalk: false }))],
  [
    /managed (connecting|active|suspect|broken|disconnected)( on a dead grant)?/,
    here((_, state, dead) => ({ managed: { state: state as ManagedZoom['state'], grant: dead ? 'dead' : 'living' } })),
  ],
  [/external (connected|broken|disconnected)/, here((_, state) => ({ external: state as WorldMember['external'] }))],
  [
    /mapped to (\w+)( at another account)?/,
    here((_, user, other) => ({ mapping: { zoomAccountId: other ? 'other' : account, zoomUserId: `${user}` } })),
  ],
  [/found earlier as pending (\S+)/, here((_, email) => ({ earlierMatch: `pending:${addressKey(`${email}`)}` }))],
  [/found earlier as (\w+)/, here((_, user) => ({ earlierMatch: `${user}` }))],
];

/** The others of a world: name, address, and what is different. */
export function readOther(cell: string): WorldMember[] {
  return phrases(cell).map((phrase) => {
    const [name, email, ...rest] = phrase.split(' ');
    const start: MemberCell = { ...usualMember(`${name}`), email: `${email}` };
    const member = rest.reduce((value, word) => read(memberPhrases, value, word), start as MemberCell);
    if (!name || !email?.includes('@') || !member)
      throw new Error(`expected NAME ADDRESS [unverified] [deactivated], got "${phrase}"`);
    return member;
  });
}

/** The copy of the Zoom account that a cell describes. */
export function readZoomUsers(cell: string): World['directory'] {
  const types: Readonly<Record<string, number>> = { licensed: 2, basic: 1, 'type 4': 4, 'type 99': 99 };
  const empty: World['directory'] = { walked: true, users: [], notFound: [] };
  return read<World['directory']>(
    [
      [/none/, (directory) => directory],
      [/no walk yet/, (directory) => ({ ...directory, walked: false })],
      [/(\S+@\S+) not found/, (directory, email) => ({ ...directory, notFound: [...directory.notFound, `${email}`] })],
      [
        /(\w+) (\S+@\S+) (licensed|basic|type 4|type 99)( inactive)?/,
        (directory, id, email, type, inactive) => {
          const status = id === 'pending' ? 'pending' : inactive ? 'inactive' : 'active';
          const user: WorldZoomUser = {
            id: id === 'pending' ? null : `${id}`,
            email: `${email}`,
            status,
            type: types[`${type}`] ?? 0,
          };
          return { ...directory, users: [...directory.users, user] };
        },
      ],
    ],
    empty,
    cell,
  );
}
