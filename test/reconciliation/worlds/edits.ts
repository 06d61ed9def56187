import type { World, WorldArchive, WorldEventType, WorldLocation } from '../../../src/reconciliation/oracle-world.ts';

/** What a person does to the locations of an event type, by the place in its list. */
export type Edit =
  | { readonly kind: 'edit' | 'delete'; readonly at: number }
  | { readonly kind: 'add'; readonly location: WorldLocation };

/** Edits of the event types of a world, by id. */
export type Edits = ReadonlyMap<string, readonly Edit[]>;

/** What is done to the copies of an event type by others than a look. */
export type ArchiveChange = { readonly expired?: boolean; readonly accepted?: boolean };

export type ArchiveChanges = ReadonlyMap<string, ArchiveChange>;

/** What an edit of details adds, here and in the database. */
export const editedDetails = { edited: 'by hand' } as const;

/** An event type after a person's edits. */
function edited(eventType: WorldEventType, edits: readonly Edit[]): WorldEventType {
  const locations = [...eventType.locations];
  for (const edit of edits) {
    if (edit.kind === 'add') locations.push(edit.location);
    else if (edit.kind === 'delete') locations.splice(edit.at, 1);
    else {
      const old = locations[edit.at];
      if (old) locations[edit.at] = { ...old, details: { ...old.details, ...editedDetails } };
    }
  }
  return { ...eventType, locations };
}

/** A world after a person's edits, and with what became of its copies. */
export function changed(world: World, edits: Edits, archives: ArchiveChanges): World {
  return {
    ...world,
    eventTypes: world.eventTypes.map((eventType) => {
      const change = archives.get(eventType.id) ?? {};
      const after = edited(eventType, edits.get(eventType.id) ?? []);
      return { ...after, archives: after.archives.map((archive): WorldArchive => ({ ...archive, ...change })) };
    }),
  };
}
