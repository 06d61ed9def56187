import type { Answer, Effective, Hosting, Reason } from '../../../src/reconciliation/oracle-members.ts';
import type { RemovalCause, World, WorldEventType, WorldMember } from '../../../src/reconciliation/oracle-world.ts';
import { readTables, type TableRow } from './markdown-tables.ts';
import { phrases, read } from './phrases.ts';
import { type Change, readChange } from './vocabulary-changes.ts';
import {
  type MemberCell,
  memberPhrases,
  readOrganization,
  readOther,
  readZoomUsers,
  usualMember,
} from './vocabulary-facts.ts';
import { type ExpectedLocations, readArchived, readEventType, readLocations } from './vocabulary-locations.ts';

type Named = { readonly name: string; readonly line: number; readonly world: World };

/** A world about Ann: what must come out for her. */
export type MemberWorld = Named & {
  readonly expected: Partial<Answer> & Pick<Answer, 'hosting' | 'basicPlan' | 'sharedHost'>;
};

/** A world about one event type: what must be there after one look, and after another. */
export type LocationWorld = Named & {
  readonly after: ExpectedLocations;
  readonly archived: { readonly cause: RemovalCause; readonly offered: boolean } | null;
  readonly second: { readonly change: Change; readonly after: ExpectedLocations } | null;
};

/** An address as typed and the key by which it is compared. */
export type AddressWorld = { readonly line: number; readonly typed: string; readonly key: string };

export type HandWorlds = {
  readonly members: readonly MemberWorld[];
  readonly locations: readonly LocationWorld[];
  readonly addresses: readonly AddressWorld[];
};

/** The worlds of docs/behaviour.md. Throws on the first row that cannot be read, with its line. */
export function readHandWorlds(markdown: string): HandWorlds {
  const found = { members: [] as MemberWorld[], locations: [] as LocationWorld[], addresses: [] as AddressWorld[] };
  for (const { header, rows } of readTables(markdown)) {
    const reader = readerFor(header);
    for (const row of rows) {
      try {
        reader?.(found, row);
      } catch (cause) {
        throw new Error(`docs/behaviour.md:${row.line}: ${cause instanceof Error ? cause.message : cause}`, { cause });
      }
    }
  }
  return found;
}

type Found = { members: MemberWorld[]; locations: LocationWorld[]; addresses: AddressWorld[] };

function readerFor(header: readonly string[]): ((found: Found, row: TableRow) => void) | null {
  switch (header.join(' | ')) {
    case 'World | Organization | Ann | Served by | Reason | Hosting':
    case 'World | Organization | Ann | Others | Zoom users | Hosting':
      return (found, row) => found.members.push(memberWorld(row));
    case 'World | Organization | Event type | People | Before | After | Archived':
    case 'World | Organization | Event type | People | Before | After | Archived | Then | After that':
      return (found, row) => found.locations.push(locationWorld(row));
    case 'Address as typed | Key':
      return (found, row) => found.addresses.push(addressWorld(row));
    default:
      if (header[0] === 'World') throw new Error(`a table of worlds with unknown columns: ${header.join(', ')}`);
      return null;
  }
}

const people = ['Ann', 'Bob', 'Cem'];

function memberWorld({ line, cells }: TableRow): MemberWorld {
  const { connection, settings } = readOrganization(cells.Organization ?? '');
  const ann = read<MemberCell>(memberPhrases, usualMember('Ann'), cells.Ann ?? '');
  const users =
    cells['Zoom users'] === undefined ? `U1 ${ann?.email ?? 'ann@acme.test'} licensed` : cells['Zoom users'];
  const members = [...(ann ? [ann] : []), ...readOther(cells.Others ?? '')];
  const [hosting = '', ...flags] = phrases(cells.Hosting ?? '');
  const [, word, zoomUserId] = /^(\w+)(?: as (\w+))?$/.exec(hosting) ?? [];
  for (const flag of flags)
    if (flag !== '40 minutes' && flag !== 'shared host')
      throw new Error(`expected "40 minutes" or "shared host", got "${flag}"`);
  return {
    name: `${cells.World}`,
    line,
    world: { connection, settings, members, directory: readZoomUsers(users), eventTypes: [] },
    expected: {
      ...(cells.Reason === undefined
        ? {}
        : { reason: code(cells.Reason) as Reason, effective: cells['Served by'] as Effective }),
      hosting: word as Hosting,
      ...(zoomUserId === undefined ? {} : { zoomUserId }),
      basicPlan: flags.includes('40 minutes'),
      sharedHost: flags.includes('shared host'),
    },
  };
}

function locationWorld({ line, cells }: TableRow): LocationWorld {
  const { connection, settings } = readOrganization(cells.Organization ?? '');
  const eventType = readEventType(cells['Event type'] ?? '', cells.Before ?? '');
  const described = new Map(
    (cells.People ?? '').split(';').flatMap((part): [string, MemberCell][] => {
      if (part.trim() === '') return [];
      const [, name = '', rest = ''] = /^\s*(Ann|Bob|Cem) (.+)$/.exec(part) ?? [];
      if (name === '') throw new Error(`expected NAME phrases, got "${part}"`);
      return [[name, read<MemberCell>(memberPhrases, usualMember(name), rest)]];
    }),
  );
  const members = people.map((name) => (described.has(name) ? described.get(name) : usualMember(name)));
  const world: World = {
    connection,
    settings,
    members: members.filter((member): member is WorldMember => member !== null && member !== undefined),
    directory: readZoomUsers(
      [
        ...people.map((name, i) => `U${i + 1} ${name.toLowerCase()}@acme.test licensed`),
        'U9 rooms@acme.test licensed',
      ].join(),
    ),
    eventTypes: [eventType],
  };
  const then = cells.Then;
  return {
    name: `${cells.World}`,
    line,
    world,
    after: readLocations(cells.After ?? ''),
    archived: readArchived(cells.Archived ?? ''),
    second:
      then === undefined ? null : { change: readChange(then, world), after: readLocations(cells['After that'] ?? '') },
  };
}

function addressWorld({ line, cells }: TableRow): AddressWorld {
  return { line, typed: code(cells['Address as typed'] ?? '', false), key: code(cells.Key ?? '', false) };
}

/** The text between code marks, as it stands. */
function code(cell: string, trim = true): string {
  const found = /^`(.*)`$/.exec(cell);
  if (found?.[1] === undefined) throw new Error(`expected text between code marks, got "${cell}"`);
  return trim ? found[1].trim() : found[1];
}

/** The event type of a world about one. */
export const onlyEventType = (world: World): WorldEventType => {
  const [eventType] = world.eventTypes;
  if (!eventType) throw new Error('a world about locations has one event type');
  return eventType;
};
