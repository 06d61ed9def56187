import fc from 'fast-check';
import { factsOf, type Hosting, type PersonalState } from '../../../src/reconciliation/oracle-members.ts';
import type { ManagedZoom, World, WorldMember, WorldZoomUser } from '../../../src/reconciliation/oracle-world.ts';
import type { Combination } from './combinations.ts';
import { usualMember, usualOrganization } from './vocabulary-facts.ts';

/** What an organization must be like for a member of a certain combination to be in it. */
export type WorldClass = {
  readonly allowOptOut: boolean;
  readonly rollout: 'all' | 'groups' | 'domains';
  /** gone: named in the settings, and cannot host */
  readonly shared: 'none' | 'usable' | 'gone';
  readonly walked: boolean;
};

/** One or two members, and what Zoom knows of them. */
export type Person = {
  readonly members: readonly WorldMember[];
  readonly users: readonly WorldZoomUser[];
  readonly notFound: readonly string[];
};

const managedZooms: readonly (ManagedZoom | null)[] = [
  null,
  ...(['connecting', 'active', 'suspect', 'broken', 'disconnected'] as const).flatMap((state) =>
    (['living', 'suspect', 'dead', 'retiring', 'gone'] as const).map((grant) => ({ state, grant })),
  ),
];
const externalZooms = [null, 'connected', 'broken', 'disconnected'] as const;
const emptyWorld: World = {
  ...usualOrganization,
  members: [],
  directory: { walked: true, users: [], notFound: [] },
  eventTypes: [],
};

/** Every pair of personal connections, by what they come to. */
const pairsByState = Map.groupBy(
  managedZooms.flatMap((managed) => externalZooms.map((external) => ({ managed, external }))),
  (pair) => factsOf(emptyWorld, { ...usualMember('x'), ...pair }).personal,
);
const personalPair = (state: PersonalState) => fc.constantFrom(...(pairsByState.get(state) ?? []));

/** Ways an address may be typed that do not change whose it is. */
const typings: readonly ((address: string) => string)[] = [
  (address) => address,
  (address) => address,
  (address) => address.toUpperCase(),
  (address) => `  ${address}\t`,
  (address) => address.replace(/^m/, 'M'),
];
/** Letters a careless comparison would fold, or not. */
const locals = ['m', 'm', 'm', 'müller', 'mu\u0308ller', 'mİ', 'mß', 'm+zoom'];

/** Whether a member of this combination can be in an organization of this class. */
export function fits(
  { reason, hosting, connection }: Combination,
  { allowOptOut, rollout, shared, walked }: WorldClass,
): boolean {
  if (reason === 'opted_out' && !allowOptOut) return false;
  if (reason === 'not_in_rollout' && rollout === 'all') return false;
  if (
    reason === 'personal_broken' &&
    (connection === 'active' || connection === 'interrupted') &&
    !allowOptOut &&
    rollout === 'all'
  )
    return false;
  if (['no_zoom_user', 'email_not_verified', 'ambiguous_match'].includes(hosting) && shared === 'usable') return false;
  return walked || hosting !== 'no_zoom_user' || shared !== 'usable';
}

/** How a member comes to be served or not: in the rollout, opted out. */
function standing({ reason, connection }: Combination, { allowOptOut, rollout }: WorldClass) {
  const canOptOut = fc.boolean();
  if (connection !== 'active' && connection !== 'interrupted')
    return fc.record({ inside: fc.boolean(), optedOut: canOptOut });
  switch (reason) {
    case 'organization':
    case 'personal_broken_organization':
      return fc.record({ inside: fc.constant(true), optedOut: allowOptOut ? fc.constant(false) : canOptOut });
    case 'opted_out':
      return fc.record({ inside: fc.boolean(), optedOut: fc.constant(true) });
    case 'not_in_rollout':
      return fc.record({ inside: fc.constant(false), optedOut: allowOptOut ? fc.constant(false) : canOptOut });
    case 'personal_broken':
      return fc.constantFrom(
        ...(allowOptOut ? [{ inside: true, optedOut: true }] : []),
        ...(rollout === 'all' ? [] : [{ inside: false, optedOut: false }]),
      );
    default:
      return fc.record({ inside: fc.boolean(), optedOut: canOptOut });
  }
}

type Draw = { member: WorldMember; domain: string; index: number; typed: () => string; key: string; dice: number };

/** What Zoom knows, for each answer about hosting; several ways to come to the same. */
const ways: Readonly<
  Record<
    Exclude<Hosting, 'no_connection' | 'interrupted'>,
    readonly ((draw: Draw, world: WorldClass) => Person | null)[]
  >
> = {
  can_host: [
    (d) => one(d, {}, [user(d, 2)]),
    (d) => one(d, {}, [user(d, 1)]),
    (d) =>
      one(d, { emailVerified: d.dice % 2 === 0, mapping: mapped(d) }, [
        { ...user(d, (d.dice % 2) + 1), email: `zoom${d.index}@zoom.test` },
      ]),
    (d) =>
      one(d, { emailVerified: d.dice % 3 > 0, earlierMatch: `U${d.index}` }, [
        { ...user(d, 2), email: `zoom${d.index}@zoom.test` },
      ]),
    (d) =>
      one(d, { earlierMatch: `pending:old${d.index}@zoom.test` }, [
        user(d, 2),
        { id: null, email: `old${d.index}@zoom.test`, status: 'pending', type: 2 },
      ]),
    takenOver,
    (d) =>
      one(d, { mapping: { ...mapped(d), zoomAccountId: 'other' } }, [
        user(d, 2),
        { ...user(d, 4), id: `V${d.index}`, email: `v${d.index}@zoom.test` },
      ]),
    (d, { shared }) => (shared === 'usable' ? one(d, { emailVerified: false }, []) : null),
    (d, { shared }) => (shared === 'usable' ? twins(d, [user(d, 2)]) : null),
  ],
  checking: [
    (d, { walked }) => one(d, { addressSeenBeforeWalk: !walked }, []),
    (d) => one(d, { addressSeenBeforeWalk: false, earlierMatch: `U${d.index}` }, []),
  ],
  no_zoom_user: [
    (d, { walked }) => (walked ? one(d, {}, []) : null),
    (d, { walked }) => (walked ? one(d, { mapping: mapped(d), earlierMatch: `W${d.index}` }, []) : null),
    (d) => one(d, { addressSeenBeforeWalk: false }, [], [d.typed()]),
  ],
  email_not_verified: [
    (d) => one(d, { emailVerified: false }, [user(d, 2)]),
    (d) => one(d, { emailVerified: false }, []),
  ],
  ambiguous_match: [
    (d) => twins(d, [user(d, 2)]),
    (d) => one(d, {}, [user(d, 2), { ...user(d, 1), id: `V${d.index}` }]),
    (d) => one(d, {}, [user(d, 2), { ...user(d, 2), id: null, status: 'pending' }]),
  ],
  zoom_user_pending: [(d) => one(d, {}, [{ ...user(d, (d.dice % 2) + 1), id: null, status: 'pending' }])],
  zoom_user_inactive: [
    (d) => one(d, {}, [{ ...user(d, 2), status: 'inactive' }]),
    (d) => one(d, { mapping: mapped(d) }, [{ ...user(d, 1), status: 'inactive', email: `zoom${d.index}@zoom.test` }]),
  ],
  no_meeting_licence: [
    (d) => one(d, {}, [user(d, 4)]),
    (d) => one(d, {}, [user(d, 99)]),
    (d) => one(d, { earlierMatch: `U${d.index}` }, [{ ...user(d, 3), email: `zoom${d.index}@zoom.test` }]),
  ],
};

const mapped = ({ index }: Draw) => ({ zoomAccountId: 'acme', zoomUserId: `U${index}` });
const user = (draw: Draw, type: number): WorldZoomUser => ({
  id: `U${draw.index}`,
  email: draw.typed(),
  status: 'active',
  type,
});
const one = (
  { member }: Draw,
  change: Partial<WorldMember>,
  users: readonly WorldZoomUser[],
  notFound: readonly string[] = [],
): Person => ({
  members: [{ ...member, ...change }],
  users,
  notFound,
});
/** Two active members with one verified address. */
const twins = (draw: Draw, users: readonly WorldZoomUser[]): Person => ({
  members: [draw.member, { ...draw.member, id: `${draw.member.id}t`, email: draw.typed(), active: true }],
  users,
  notFound: [],
});

/** The Zoom user found earlier has an address that is another member's now: each hosts as who has their address. */
function takenOver(draw: Draw): Person {
  const email = `taken${draw.index}@${draw.domain}`;
  return {
    members: [
      { ...draw.member, earlierMatch: `U${draw.index}` },
      { ...draw.member, id: `${draw.member.id}t`, email, active: true },
    ],
    users: [
      { ...user(draw, 2), email },
      { ...user(draw, 2), id: `V${draw.index}` },
    ],
    notFound: [],
  };
}

const anyHosting = Object.keys(ways) as (keyof typeof ways)[];

/** A person of this combination in an organization of this class; index makes names and addresses their own. */
export function personOf(combination: Combination, world: WorldClass, index: number): fc.Arbitrary<Person> {
  const { hosting, reason, personal } = combination;
  const decided = hosting !== 'no_connection' && hosting !== 'interrupted' && reason !== 'personal';
  return fc
    .record({
      pair: personalPair(personal),
      standing: standing(combination, world),
      way: fc.nat(1_000_000),
      hosting: decided ? fc.constant(hosting as keyof typeof ways) : fc.constantFrom(...anyHosting),
      dice: fc.nat(1_000_000),
      local: fc.constantFrom(...locals),
    })
    .map(({ pair, standing: { inside, optedOut }, way, hosting: found, dice, local }) => {
      let next = dice;
      const domain = world.rollout === 'domains' && !inside ? 'out.test' : 'in.test';
      const key = `${local}${index}@${domain}`;
      const typed = () => {
        next += 7;
        // Capitals of letters beyond A–Z are other letters.
        const typing = typings[next % typings.length] ?? ((address: string) => address);
        return local === 'm' || local === 'm+zoom' ? typing(key) : key;
      };
      const member: WorldMember = {
        ...usualMember(`m${index}`),
        ...pair,
        active: reason !== 'member_inactive',
        email: typed(),
        optedOut,
        groups:
          world.rollout === 'groups'
            ? inside
              ? dice % 2
                ? ['inside']
                : ['inside', 'outside']
              : dice % 2
                ? ['outside']
                : []
            : [],
      };
      const draw = { member, domain, index, typed, key, dice };
      const people = ways[found].map((make) => make(draw, world)).filter((person) => person !== null);
      return people[way % people.length] ?? one(draw, {}, []);
    });
}
