import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { lookAt } from '../../../src/reconciliation/oracle-locations.ts';
import { addressKey } from '../../../src/reconciliation/oracle-match.ts';
import { answerFor } from '../../../src/reconciliation/oracle-members.ts';
import { useDatabase } from '../../support/database.ts';
import type { Prints } from './compare-locations.ts';
import { changedHandWorlds, playableHandWorlds, secondLook, shown } from './hand-rounds.ts';
import { onlyEventType, readHandWorlds } from './hand-worlds.ts';
import { playRound, type Round } from './play.ts';
import { playSecondRound } from './second-round.ts';
import { walkTimes } from './world-rows.ts';
import { writeWorlds } from './write-worlds.ts';

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
    const worlds = playableHandWorlds(hand);
    const times = walkTimes(Date.now());
    await writeWorlds(database.db, worlds, times);
    first = await playRound(database.db, worlds, prints);
    second = await playSecondRound(database.db, changedHandWorlds(hand, first.worlds), { first, prints, times });
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
