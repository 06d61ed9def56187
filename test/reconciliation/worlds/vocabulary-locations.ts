import type {
  EventKind,
  RemovalCause,
  WorldEventType,
  WorldLocation,
} from '../../../src/reconciliation/oracle-world.ts';
import { removalCauses } from '../../../src/reconciliation/oracle-world.ts';

const locations: Readonly<Record<string, Omit<WorldLocation, 'id'>>> = {
  Zoom: { kind: 'zoom_conference', details: {} },
  'Zoom 2': { kind: 'zoom_conference', details: { note: 'second' } },
  phone: { kind: 'outbound_call', details: { phone: '+49 170 1', label: '“Café”' } },
  office: { kind: 'physical', details: { address: 'Main Street 1\nBerlin', floor: 3 } },
  Meet: { kind: 'google_conference', details: {} },
};

/** A location by the name it has on the page. */
export function locationNamed(eventTypeId: string, name: string): WorldLocation {
  const location = locations[name];
  if (!location) throw new Error(`expected a location (${Object.keys(locations).join(', ')}), got "${name}"`);
  return { id: `${eventTypeId} ${name}`, ...location };
}

/** What a cell says is there: names of locations in order, and whether the event type is flagged. */
export type ExpectedLocations = { readonly names: readonly string[]; readonly flagged: boolean };

/** Reads the columns Before and After. */
export function readLocations(cell: string): ExpectedLocations {
  const parts = cell.split(',').map((part) => part.trim());
  const flagged = parts.at(-1) === 'flagged';
  const names = flagged ? parts.slice(0, -1) : parts;
  if (names[0] === 'nothing' && names.length === 1) return { names: [], flagged };
  for (const name of names) if (name !== 'fallback' && name !== 'new Zoom') locationNamed('', name);
  return { names, flagged };
}

/** Reads the column Archived. */
export function readArchived(cell: string): { cause: RemovalCause; offered: boolean } | null {
  if (cell === '–') return null;
  const [cause, how, ...rest] = cell.split(',').map((part) => part.trim());
  const known = removalCauses.find((name) => name === cause);
  if (!known || (how !== 'offered' && how !== 'automatic') || rest.length > 0)
    throw new Error(`expected "CAUSE, offered", "CAUSE, automatic" or "–", got "${cell}"`);
  return { cause: known, offered: how === 'offered' };
}

const kinds: Readonly<Record<string, EventKind>> = {
  'solo of': 'solo',
  'group of': 'group',
  'managed for': 'managed',
  'collective of': 'collective',
  'template of': 'template',
  'template for': 'template',
  'round robin of': 'round_robin',
};

/** Reads the column Event type: its kind and its people. */
export function readEventType(cell: string, before: string): WorldEventType {
  const id = 'event type';
  const found =
    /^(?:new )?(solo of|group of|managed for|collective of|template of|template for|round robin of) (.+)$/.exec(cell);
  if (!found) throw new Error(`expected an event type such as "solo of Ann", got "${cell}"`);
  const [, opening = '', people = ''] = found;
  const kind = kinds[opening] as EventKind;
  const several = opening === 'template for' || opening === 'round robin of';
  const [first = '', rest = ''] = several ? ['', people] : people.split(/ (?:with|for) /);
  const names = rest === 'nobody' ? [] : rest.split(/ and /).filter((name) => name !== '');
  const hosts = names.map((entry) => {
    const host = /^(Ann|Bob|Cem)( \(paused\))?$/.exec(entry);
    if (!host?.[1]) throw new Error(`expected Ann, Bob or Cem, got "${entry}"`);
    return { member: host[1], active: host[2] === undefined };
  });
  if (!several && !/^(Ann|Bob|Cem)$/.test(first)) throw new Error(`expected Ann, Bob or Cem, got "${first}"`);
  return {
    id,
    kind,
    host: several ? null : first,
    hosts,
    locations: readLocations(before).names.map((name) => locationNamed(id, name)),
    archives: [],
    needsLocation: false,
    isNew: cell.startsWith('new '),
    start: null,
  };
}
