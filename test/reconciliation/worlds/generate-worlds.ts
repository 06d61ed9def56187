import fc from 'fast-check';
import type { World, WorldConnection } from '../../../src/reconciliation/oracle-world.ts';
import { type Combination, type ConnectionState, connectionStates, possibleCombinations } from './combinations.ts';
import { createDice, generateEventTypes } from './generate-event-types.ts';
import { fits, type Person, personOf, type WorldClass } from './generate-people.ts';
import type { PlayedWorld } from './world-rows.ts';

/** A world in the making: who is in it, and why. */
export type Draft = {
  readonly key: string;
  readonly state: ConnectionState;
  readonly worldClass: WorldClass;
  readonly people: readonly Person[];
  readonly played: PlayedWorld;
};

export type GenerateOptions = {
  readonly seed: number;
  /** members of a combination at least */
  readonly each: number | ((combination: Combination) => number);
  /** members of a world at most */
  readonly size: number;
};

const classes: readonly WorldClass[] = [
  { allowOptOut: false, rollout: 'all', shared: 'none', walked: true },
  { allowOptOut: true, rollout: 'all', shared: 'gone', walked: true },
  { allowOptOut: true, rollout: 'groups', shared: 'none', walked: true },
  { allowOptOut: false, rollout: 'domains', shared: 'none', walked: false },
  { allowOptOut: true, rollout: 'domains', shared: 'usable', walked: true },
  { allowOptOut: false, rollout: 'groups', shared: 'usable', walked: false },
];

/** Worlds in which every combination that can exist is reached: drawn stratum by stratum, the rest at random. */
export function generateWorlds({ seed, each, size }: GenerateOptions): Draft[] {
  const dice = createDice(seed);
  return connectionStates.flatMap((state) => {
    const rooms = new Map<WorldClass, Combination[]>();
    const targets = possibleCombinations.filter(({ connection }) => connection === state);
    for (const target of targets) {
      const fitting = classes.filter((worldClass) => fits(target, worldClass));
      for (let n = typeof each === 'number' ? each : each(target); n > 0; n--) {
        const room = fitting[dice(fitting.length)];
        if (!room) throw new Error(`no class of organizations for ${JSON.stringify(target)}`);
        const inside = rooms.get(room);
        if (inside) inside.push(target);
        else rooms.set(room, [target]);
      }
    }
    return [...rooms].flatMap(([worldClass, all], room) => {
      const count = Math.ceil(all.length / size);
      // Dealt like cards, so that each world has some of everything.
      return Array.from({ length: count }, (_, part) => {
        const mine = all.filter((_, index) => index % count === part);
        const key = `${state.replaceAll(' ', '_')}-${room}-${part}`;
        return sampleDraft(key, state, worldClass, mine, dice(2 ** 31), (room + part) % 2 === 0 ? 'rows' : 'json');
      });
    });
  });
}

function sampleDraft(
  key: string,
  state: ConnectionState,
  worldClass: WorldClass,
  targets: readonly Combination[],
  seed: number,
  adapter: PlayedWorld['adapter'],
): Draft {
  const drawn = fc
    .sample(
      fc.record({
        people: fc.tuple(...targets.map((target, index) => personOf(target, worldClass, index))),
        connection: connectionOf(state),
        fallback: fc.constantFrom(
          null,
          { kind: 'outbound_call', details: { phone: '+1 555' } },
          { kind: 'custom', details: { text: 'ask' } },
        ),
        seed: fc.nat(2 ** 31 - 1),
      }),
      { seed, numRuns: 1 },
    )
    .at(0);
  if (!drawn) throw new Error('fast-check drew nothing');
  const world = {
    ...compose(drawn.connection, worldClass, drawn.people),
    eventTypes: generateEventTypes(
      drawn.people.flatMap(({ members }) => members.map(({ id }) => id)),
      drawn.seed,
    ),
  };
  const zoomForNew = createDice(drawn.seed + 7)(2) === 0;
  const settings = { ...world.settings, fallback: drawn.fallback, zoomForNew };
  return { key, state, worldClass, people: drawn.people, played: { key, adapter, world: { ...world, settings } } };
}

/** Facts of a world from what it is made of, without event types. */
export function compose(connection: WorldConnection | null, worldClass: WorldClass, people: readonly Person[]): World {
  const { allowOptOut, rollout, shared, walked } = worldClass;
  const host = {
    id: 'shared',
    email: 'shared@zoom.test',
    status: shared === 'usable' ? 'active' : 'inactive',
    type: rollout === 'groups' ? 1 : 2,
  } as const;
  return {
    connection,
    settings: {
      allowOptOut,
      rollout:
        rollout === 'all'
          ? { to: 'all' }
          : rollout === 'groups'
            ? { to: 'groups', groups: ['inside', 'elsewhere'] }
            : { to: 'domains', domains: ['in.test', 'elsewhere.test'] },
      fallback: null,
      sharedHost: shared === 'none' ? null : 'shared',
      zoomForNew: false,
    },
    members: people.flatMap(({ members }) => members),
    directory: {
      walked,
      users: [host, ...people.flatMap(({ users }) => users)],
      notFound: people.flatMap(({ notFound }) => notFound),
    },
    eventTypes: [],
  };
}

/** A connection in this state, with a history that leads there. */
export function connectionOf(state: ConnectionState): fc.Arbitrary<WorldConnection | null> {
  const causes = fc.constantFrom('person', 'deadline', 'organization_deleted', 'plan_ended') as fc.Arbitrary<
    WorldConnection['disconnectCause']
  >;
  const everDisconnected = /after a disconnect|disconnecting/.test(state);
  const row = fc.record({
    state: fc.constant((state.split(' ')[0] ?? 'none') as WorldConnection['state']),
    everDisconnected: fc.constant(everDisconnected),
    // An earlier cause stays on the row of a connection that is active again.
    disconnectCause: everDisconnected ? causes : fc.constantFrom(null, 'person' as const),
    zoomAccountId: fc.constant('acme'),
    generation: fc.nat(1000).map((n) => n + 10),
    restoreGenerations: fc.constant([]),
    observe: fc.constant(false),
  });
  return state === 'none' ? fc.option(row, { nil: null }) : row;
}
