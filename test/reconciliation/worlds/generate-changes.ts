import fc from 'fast-check';
import { addressKey } from '../../../src/reconciliation/oracle-match.ts';
import type { World, WorldConnection, WorldEventType, WorldMember } from '../../../src/reconciliation/oracle-world.ts';
import { type ConnectionState, possibleCombinations } from './combinations.ts';
import { type ArchiveChange, changed, type Edit } from './edits.ts';
import { createDice } from './generate-event-types.ts';
import { fits, type Person, personOf, type WorldClass } from './generate-people.ts';
import { compose, connectionOf, type Draft } from './generate-worlds.ts';

/** A world after a second change of facts, and what persons did to its event types meanwhile. */
export type ChangedWorld = {
  readonly world: World;
  readonly edits: ReadonlyMap<string, readonly Edit[]>;
  readonly archives: ReadonlyMap<string, ArchiveChange>;
};

const nextStates: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  none: ['active', 'pending', 'none'],
  'none after a disconnect': ['active', 'active', 'pending after a disconnect'],
  pending: ['active', 'none'],
  'pending after a disconnect': ['active', 'active', 'none after a disconnect'],
  active: ['active', 'active', 'interrupted', 'disconnecting'],
  interrupted: ['active', 'disconnecting', 'interrupted'],
  disconnecting: ['active', 'active', 'none after a disconnect'],
};

/**
 * Changes a world that a run has left behind: the connection moves on, settings change, people change, come and go,
 * event types are edited, copies expire, offers are accepted.
 */
export function changeWorld(draft: Draft, left: World, seed: number): ChangedWorld {
  const dice = createDice(seed);
  const states = nextStates[draft.state];
  const state = states[dice(states.length)] ?? 'active';
  const worldClass: WorldClass = {
    ...draft.worldClass,
    allowOptOut: dice(3) === 0 ? !draft.worldClass.allowOptOut : draft.worldClass.allowOptOut,
  };
  const targets = possibleCombinations.filter((target) => target.connection === state && fits(target, worldClass));
  const arbitraries = draft.people.map((person, index) => {
    const target = targets[dice(targets.length)];
    return dice(3) === 0 && target ? personOf(target, worldClass, index) : fc.constant(person);
  });
  const drawn = fc
    .sample(fc.record({ people: fc.tuple(...arbitraries), connection: connectionOf(state) }), { seed, numRuns: 1 })
    .at(0);
  if (!drawn) throw new Error('fast-check drew nothing');

  const facts = compose(moved(left.connection, drawn.connection, dice), worldClass, drawn.people as Person[]);
  const members = facts.members
    .filter((member) => dice(40) > 0 || !left.members.some(({ id }) => id === member.id))
    .map((member) =>
      remembered(
        member,
        left.members.find(({ id }) => id === member.id),
      ),
    );
  const base: World = {
    ...left,
    connection: facts.connection,
    settings: {
      ...facts.settings,
      fallback: left.settings.fallback,
      zoomForNew: createDice(seed + 7)(4) === 0 ? !left.settings.zoomForNew : left.settings.zoomForNew,
    },
    members,
    directory: facts.directory,
  };

  const edits = new Map<string, Edit[]>();
  const archives = new Map<string, ArchiveChange>();
  for (const eventType of left.eventTypes) {
    const edit = dice(5) === 0 ? editOf(eventType, dice) : null;
    if (edit) edits.set(eventType.id, [edit]);
    const fate = eventType.archives.length > 0 ? dice(3) : 0;
    if (fate > 0) archives.set(eventType.id, fate === 1 ? { accepted: true } : { accepted: true, expired: true });
  }
  const world = changed(base, edits, archives);
  return {
    world: { ...world, eventTypes: world.eventTypes.map((eventType) => rehosted(eventType, members, dice)) },
    edits,
    archives,
  };
}

/** The connection's id, account and history go on; the generation moves. */
function moved(
  before: WorldConnection | null,
  drawn: WorldConnection | null,
  dice: (sides: number) => number,
): WorldConnection | null {
  if (!drawn) return before && { ...before, state: 'none', everDisconnected: false, generation: before.generation + 1 };
  if (!before) return drawn;
  const keepsCause = before.everDisconnected && drawn.everDisconnected;
  return {
    ...drawn,
    disconnectCause: keepsCause ? before.disconnectCause : drawn.disconnectCause,
    zoomAccountId: dice(8) === 0 ? 'second' : before.zoomAccountId,
    generation: before.generation + 1,
    restoreGenerations: dice(4) === 0 ? [before.generation, 3] : [],
  };
}

/** What was stored of a member stays what it was; an address seen for the first time is newer than the last walk. */
function remembered(member: WorldMember, before: WorldMember | undefined): WorldMember {
  if (!before) return { ...member, earlierMatch: null };
  const known = before.emailVerified && addressKey(before.email) === addressKey(member.email);
  return { ...member, earlierMatch: before.earlierMatch, addressSeenBeforeWalk: known && before.addressSeenBeforeWalk };
}

function editOf({ id, locations }: WorldEventType, dice: (sides: number) => number): Edit | null {
  const choice = dice(4);
  if (choice === 0)
    return { kind: 'add', location: { id: `${id} added`, kind: 'zoom_conference', details: { n: 99 } } };
  if (choice === 1)
    return { kind: 'add', location: { id: `${id} added`, kind: 'physical', details: { address: 'Side Street 2' } } };
  if (locations.length === 0) return null;
  return { kind: choice === 2 ? 'edit' : 'delete', at: dice(locations.length) };
}

/** Now and then somebody else takes over, or a host pauses. */
function rehosted(
  eventType: WorldEventType,
  members: readonly WorldMember[],
  dice: (sides: number) => number,
): WorldEventType {
  const other = members[dice(Math.max(1, members.length))]?.id;
  if (dice(15) > 0 || other === undefined) return eventType;
  if (eventType.host !== null) return { ...eventType, host: other };
  return { ...eventType, hosts: eventType.hosts.map((host) => ({ ...host, active: !host.active })) };
}
