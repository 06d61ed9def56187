import { isDeepStrictEqual } from 'node:util';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import type { LocationAnswer } from '../../../src/reconciliation/oracle-locations.ts';
import type { WorldLocation } from '../../../src/reconciliation/oracle-world.ts';
import type { Snapshot, StoredEventType, StoredLocation } from './read-locations.ts';
import { idOf } from './world-ids.ts';

/** What one look was expected to do, and what is stored before and after it. */
export type Look = {
  readonly key: string;
  readonly eventTypeId: string;
  readonly adapter: LocationAdapter;
  readonly expected: LocationAnswer;
  readonly before: Snapshot;
  readonly after: Snapshot;
};

/** Bytes of every location as it was last seen, also of those taken away since: what comes back must be the same. */
export type Prints = Map<string, string>;

/** Remembers the bytes of what is there. */
export function remember(prints: Prints, snapshot: Snapshot): void {
  for (const { locations } of snapshot.values())
    for (const { id, print } of locations) if (id !== null) prints.set(id, print);
}

/** Where what is stored is not what the oracle says, or something was written that had to stay as it was. */
export function compareLook(look: Look, prints: Prints): string[] {
  const id = idOf(look.key, look.eventTypeId);
  const before = look.before.get(id);
  const after = look.after.get(id);
  if (!before || !after) return [`${look.key}/${look.eventTypeId}: the event type is not there`];
  const wrong = [...compareState(look, after), ...compareBytes(look, before, after, prints)];
  if (wrong.length === 0) return [];
  const show = ({ locations, archives, needsLocation, start }: StoredEventType) =>
    JSON.stringify({ locations: locations.map(({ print }) => print), archives, needsLocation, start });
  return [
    `${look.adapter}: ${look.key}/${look.eventTypeId}: ${wrong.join('; ')}\n  oracle ${JSON.stringify(look.expected)}\n  before ${show(before)}\n  after ${show(after)}`,
  ];
}

function compareState({ key, expected: { after: expected } }: Look, after: StoredEventType): string[] {
  const wrong: string[] = [];
  const same =
    expected.locations.length === after.locations.length &&
    expected.locations.every((location, index) => isLocation(key, location, after.locations[index]));
  if (!same) wrong.push('other locations');
  const text = (archives: readonly { id: string | null; cause: string; offered: boolean; generation: number }[]) =>
    archives
      .map(({ id, cause, offered, generation }) => [id, cause, offered, generation].join())
      .sort()
      .join(' ');
  const copies = expected.archives.map((archive) => ({
    ...archive,
    id: isAdded(archive.location) ? null : idOf(key, archive.location.id),
  }));
  // What the worker made itself has an id of its own, or none.
  const known = new Set(copies.map(({ id }) => id));
  const stored = after.archives.map((archive) => ({
    ...archive,
    id: known.has(archive.locationId) ? archive.locationId : null,
  }));
  if (text(copies) !== text(stored)) wrong.push('other copies');
  if ((expected.start?.state ?? null) !== after.start) wrong.push(`start noted as ${after.start}`);
  if (expected.needsLocation !== after.needsLocation) wrong.push('another flag');
  return wrong;
}

const isAdded = (location: WorldLocation): boolean => location.id.startsWith('new Zoom of ');
const isFallback = (location: WorldLocation): boolean => location.id.startsWith('fallback of ');

function isLocation(key: string, location: WorldLocation, stored: StoredLocation | undefined): boolean {
  if (!stored || stored.kind !== location.kind) return false;
  // A fallback is new: it has an id of its own, or none. Of everything else the bytes are compared.
  if (isFallback(location)) return stored.details !== null && within(stored.details, location.details);
  if (isAdded(location)) return stored.id === null || stored.details !== null;
  return stored.id === idOf(key, location.id);
}

/** Whether one has everything of the other: an edit may stand beside it. */
const within = (one: Readonly<Record<string, unknown>>, other: Readonly<Record<string, unknown>>): boolean =>
  Object.keys(one).every((name) => isDeepStrictEqual(one[name], other[name]));

function compareBytes(
  { adapter, expected }: Look,
  before: StoredEventType,
  after: StoredEventType,
  prints: Prints,
): string[] {
  const wrong: string[] = [];
  if (before.print !== after.print) wrong.push('the event type itself was changed');
  const { kind } = expected.outcome;
  const mayWrite = adapter === 'json' && (kind === 'removed' || kind === 'restored' || expected.started);
  if (!mayWrite && before.writtenBy !== after.writtenBy) wrong.push('the event type was written');
  const rows = new Map(before.locations.map((location) => [location.id, location.writtenBy]));
  for (const { id, print, writtenBy } of after.locations) {
    const seen = id === null ? undefined : prints.get(id);
    if (seen !== undefined && seen !== print) wrong.push(`location ${id} is not what it was: ${seen}`);
    const row = rows.get(id);
    if (adapter === 'rows' && row !== undefined && row !== writtenBy)
      wrong.push(`the row of location ${id} was written`);
  }
  return wrong;
}
