import type { EventKind, WorldEventType, WorldLocation } from '../../../src/reconciliation/oracle-world.ts';

/** Small numbers in a row, the same for the same seed: for choices too many to draw one by one. */
export function createDice(seed: number): (sides: number) => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return (sides) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39) >>> 0;
    return ((mixed ^ (mixed >>> 16)) >>> 0) % sides;
  };
}

type Made = Omit<WorldLocation, 'id'>;

const zoom: Made = { kind: 'zoom_conference', details: {} };
const others: readonly Made[] = [
  { kind: 'outbound_call', details: { phone: '+49 170 1', note: '“Café” \\ \u0001' } },
  { kind: 'physical', details: { address: 'Main Street 1\nBerlin', floor: 3.5, tags: ['a', null, { deep: true }] } },
  { kind: 'google_conference', details: {} },
  { kind: 'custom', details: { text: 'zoom_conference' } },
];

/** Lists of locations: Z is Zoom, digits are others. */
const patterns = [
  'Z',
  'Z',
  'Z0',
  '0Z1',
  'Z0Z',
  '1ZZ',
  '01Z',
  'ZZ',
  '0Z',
  'Z3',
  'Z0Z1',
  'ZZ10',
  '2',
  '01',
  '',
  '',
  '',
] as const;

function locationsOf(id: string, dice: (sides: number) => number): WorldLocation[] {
  const pattern = patterns[dice(patterns.length)] ?? '';
  return [...pattern].map((letter, index) => {
    const made = letter === 'Z' ? zoom : (others[Number(letter)] ?? zoom);
    return { id: `${id} l${index}`, kind: made.kind, details: letter === 'Z' ? { n: index } : made.details };
  });
}

/**
 * Event types for these members: everybody serves each kind at least once, alone or with others. Some hosts are
 * paused, some have left.
 */
export function generateEventTypes(memberIds: readonly string[], seed: number): WorldEventType[] {
  const dice = createDice(seed);
  const age = createDice(seed + 1);
  const eventTypes: WorldEventType[] = [];
  const add = (kind: EventKind, host: string | null, hosts: WorldEventType['hosts']): void => {
    const id = `e${eventTypes.length}`;
    const locations = locationsOf(id, dice);
    const isNew = age(2) === 0;
    eventTypes.push({ id, kind, host, hosts, locations, archives: [], needsLocation: false, isNew, start: null });
  };
  const anybody = (): string => (dice(12) === 0 ? `left${dice(3)}` : (memberIds[dice(memberIds.length)] ?? 'left0'));
  const some = (first: string | null, most: number): WorldEventType['hosts'] => {
    const names = new Set(first === null ? [] : [first]);
    for (let extra = dice(most + 1); extra > 0; extra--) names.add(anybody());
    return [...names].map((member) => ({ member, active: member === first || dice(4) > 0 }));
  };
  /** This member and the next, and sometimes somebody who is paused or has left. */
  const shared = (index: number, members: number): WorldEventType['hosts'] => {
    const names = memberIds.slice(index, index + members);
    const hosts = names.map((member) => ({ member, active: true }));
    const other = anybody();
    return dice(4) === 0 && !names.includes(other) ? [...hosts, { member: other, active: dice(2) === 0 }] : hosts;
  };
  for (const [index, member] of memberIds.entries()) {
    for (const kind of ['solo', 'group', 'managed'] as const) add(kind, member, []);
    add('collective', member, some(null, 2));
    // With an owner the assignees do not count.
    if (index % 3 === 0) add('template', member, some(null, 2));
    else if (index % 3 === 1) add('template', null, shared(index, 2));
    if (index % 2 === 0) add('round_robin', null, shared(index, 2));
    else if (dice(3) === 0) add('round_robin', null, some(member, 2));
  }
  for (const kind of ['round_robin', 'template'] as const) add(kind, null, []);
  add('solo', 'left0', []);
  return eventTypes;
}
