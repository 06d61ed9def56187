import type { World, WorldEventType } from '../../../src/reconciliation/oracle-world.ts';
import { changed, type Edit } from './edits.ts';
import { type HandWorlds, type LocationWorld, onlyEventType } from './hand-worlds.ts';
import type { Played } from './second-round.ts';
import type { ExpectedLocations } from './vocabulary-locations.ts';
import type { PlayedWorld } from './world-rows.ts';

/** An event type as the page shows it. */
export function shown({ locations, needsLocation }: WorldEventType): ExpectedLocations {
  const names = locations.map(({ id }) => {
    const [inserted] = /^fallback|^new Zoom/.exec(id) ?? [];
    return inserted ?? id.replace(/^event type /, '');
  });
  return { names, flagged: needsLocation };
}

const editsOf = ({ second }: LocationWorld, eventType: WorldEventType): readonly Edit[] =>
  second?.change.edits(shown(eventType).names) ?? [];

/** The world of the second look, and its event type. */
export function secondLook(row: LocationWorld, left: WorldEventType): [World, WorldEventType] {
  const { change } = row.second ?? {};
  if (!change) throw new Error(`${row.name}: no second look`);
  const edits = new Map([[left.id, editsOf(row, left)]]);
  const world = change.facts(
    changed({ ...row.world, eventTypes: [left] }, edits, new Map([[left.id, change.archives]])),
  );
  return [world, onlyEventType(world)];
}

/** The worlds of the page as the engine plays them: those about locations with either adapter. */
export function playableHandWorlds({ members, locations }: HandWorlds): PlayedWorld[] {
  return [
    ...members.map(({ line, world }): PlayedWorld => ({ key: `line ${line}`, adapter: 'rows', world })),
    ...locations.flatMap(({ line, world }) =>
      (['rows', 'json'] as const).map((adapter): PlayedWorld => ({ key: `line ${line} ${adapter}`, adapter, world })),
    ),
  ];
}

/** Those of them that have a second look, changed for it, from what the first round left. */
export function changedHandWorlds({ locations }: HandWorlds, left: readonly PlayedWorld[]): Played[] {
  return left.flatMap((played) => {
    const row = locations.find(({ line }) => `line ${line} ${played.adapter}` === played.key);
    if (!row?.second) return [];
    const before = onlyEventType(played.world);
    const [world] = secondLook(row, before);
    const { id } = onlyEventType(world);
    return [
      {
        ...played,
        world,
        edits: new Map([[id, editsOf(row, before)]]),
        archives: new Map([[id, row.second.change.archives]]),
      },
    ];
  });
}
