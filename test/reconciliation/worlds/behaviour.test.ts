import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { lookAt } from '../../../src/reconciliation/oracle-locations.ts';
import { addressKey } from '../../../src/reconciliation/oracle-match.ts';
import { answerFor } from '../../../src/reconciliation/oracle-members.ts';
import type { World, WorldEventType } from '../../../src/reconciliation/oracle-world.ts';
import { useDatabase } from '../../support/database.ts';
import { applyArchiveChanges, applyEdits, rewriteHosts } from './apply-changes.ts';
import type { Prints } from './compare-locations.ts';
import { changed, type Edit } from './edits.ts';
import { type LocationWorld, onlyEventType, readHandWorlds } from './hand-worlds.ts';
import { playRound, type Round } from './play.ts';
import type { ExpectedLocations } from './vocabulary-locations.ts';
import { type PlayedWorld, walkTimes } from './world-rows.ts';
import { rewriteFacts, writeWorlds } from './write-worlds.ts';

const page = readFileSync(new URL('../../../docs/behaviour.md', import.meta.url), 'utf8');
const hand = readHandWorlds(page);
const database = useDatabase();

test('the page has the worlds it promises', () => {
  expect(hand.members.length).toBeGreaterThanOrEqual(60);
  expect(hand.locations.length).toBeGreaterThanOrEqual(50);
  expect(hand.addresses.length).toBeGreaterThanOrEqual(8);
  const names = [...hand.members, ...hand.locations].map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('a row that cannot be read is refused, with its line', () => {
  const damage = (from: string, to: string) => () => readHandWorlds(page.replace(from, to));
  expect(damage('| Opted out | active, opt-out allowed |', '| Opted out | active, opt-out perhaps |')).toThrow(
    /behaviour\.md:\d+: .*opt-out perhaps/,
  );
  expect(damage('| Deactivated | active | solo of Ann |', '| Deactivated | active | solo of Dan |')).toThrow(/Dan/);
  expect(damage('| Disconnecting | disconnecting | |', '| Disconnecting | disconnecting | | |')).toThrow(
    /expected 6 cells/,
  );
  expect(damage('active, phone edited |', 'active, Meet edited |')).not.toThrow();
  expect(damage('organization_disconnected, automatic | active |', 'because, automatic | active |')).toThrow(/because/);
  expect(damage('| World | Organization | Ann | Served by |', '| World | Organisation | Ann | Served by |')).toThrow(
    /unknown columns/,
  );
});

describe('by the oracle', () => {
  test.each(hand.members)('$line: $name', ({ world, expected }) => {
    expect(answerFor(world, 'Ann')).toMatchObject(expected);
  });

  test.each(hand.locations)('$line: $name', (row) => {
    const { world, after, archived, second } = row;
    const first = lookAt(world, onlyEventType(world));
    expect(shown(first.after)).toEqual(after);
    expect(first.outcome).toMatchObject(
      archived ? { kind: 'removed', ...archived } : { kind: expect.stringMatching(/kept|untouched/) },
    );
    if (second) expect(shown(lookAt(...secondLook(row, first.after)).after)).toEqual(second.after);
  });

  test.each(hand.addresses)('$line: $typed', ({ typed, key }) => {
    expect(addressKey(typed)).toBe(key);
  });
});

describe('by the engine', () => {
  const prints: Prints = new Map();
  let first: Round;
  let second: Round;

  beforeAll(async () => {
    const members = hand.members.map(
      ({ line, world }): PlayedWorld => ({ key: `line ${line}`, adapter: 'rows', world }),
    );
    const locations = hand.locations.flatMap(({ line, world }) =>
      (['rows', 'json'] as const).map((adapter): PlayedWorld => ({ key: `line ${line} ${adapter}`, adapter, world })),
    );
    const times = walkTimes(Date.now());
    await writeWorlds(database.db, [...members, ...locations], times);
    first = await playRound(database.db, [...members, ...locations], prints);

    const again = first.worlds.flatMap((played) => {
      const row = hand.locations.find(({ line }) => `line ${line} ${played.adapter}` === played.key);
      if (!row?.second) return [];
      const [world] = secondLook(row, onlyEventType(played.world));
      const edits = new Map([[onlyEventType(world).id, editsOf(row, onlyEventType(played.world))]]);
      return [{ ...played, world, edits, archives: new Map([[onlyEventType(world).id, row.second.change.archives]]) }];
    });
    await rewriteFacts(database.db, again, times);
    await rewriteHosts(database.db, again);
    for (const adapter of ['rows', 'json'] as const)
      await applyEdits(
        database.db,
        adapter,
        again.filter((world) => world.adapter === adapter),
        first.stored[adapter],
      );
    await applyArchiveChanges(database.db, again);
    second = await playRound(database.db, again, prints);
  }, 300_000);

  const about = (round: Round, line: number) =>
    round.differences.filter((text) => text.includes(`line ${line}/`) || text.includes(`line ${line} `));

  test.each(hand.members)('$line: $name', ({ line }) => {
    expect(about(first, line)).toEqual([]);
  });

  test.each(hand.locations)('$line: $name', ({ line }) => {
    expect([...about(first, line), ...about(second, line)]).toEqual([]);
  });

  test.each(hand.addresses)('$line: $typed', async ({ typed, key }) => {
    const { rows } = await sql`select steward.address_key(${typed}) as key`.execute(database.db);
    expect(rows).toEqual([{ key }]);
  });
});

/** An event type as the page shows it. */
function shown({ locations, needsLocation }: WorldEventType): ExpectedLocations {
  const names = locations.map(({ id }) => (id.startsWith('fallback') ? 'fallback' : id.replace(/^event type /, '')));
  return { names, flagged: needsLocation };
}

const editsOf = ({ second }: LocationWorld, eventType: WorldEventType): readonly Edit[] =>
  second?.change.edits(shown(eventType).names) ?? [];

/** The world of the second look, and its event type. */
function secondLook(row: LocationWorld, left: WorldEventType): [World, WorldEventType] {
  const { change } = row.second ?? {};
  if (!change) throw new Error(`${row.name}: no second look`);
  const edits = new Map([[left.id, editsOf(row, left)]]);
  const world = change.facts(
    changed({ ...row.world, eventTypes: [left] }, edits, new Map([[left.id, change.archives]])),
  );
  return [world, onlyEventType(world)];
}
