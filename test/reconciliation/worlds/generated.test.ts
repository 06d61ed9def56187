import { afterAll, expect, test } from 'vitest';
import { useDatabase } from '../../support/database.ts';
import { eventKinds } from './combinations.ts';
import type { Prints } from './compare-locations.ts';
import { countCombinations, countOutcomes, coverageTable, expectedCoverage, unexpected } from './coverage.ts';
import { changeWorld } from './generate-changes.ts';
import { generateWorlds } from './generate-worlds.ts';
import { playRound, type Round } from './play.ts';
import { playSecondRound } from './second-round.ts';
import { type PlayedWorld, walkTimes } from './world-rows.ts';
import { writeWorlds } from './write-worlds.ts';

/** Every combination this often, with each kind of event type. */
const least = 100;
// WORLDS_SEED=123 plays the worlds of a failure again.
const seed = Number(process.env.WORLDS_SEED ?? 20_240_501);

const database = useDatabase();
const rounds: Round[] = [];
const played: PlayedWorld[] = [];
const prints: Prints = new Map();
const times = walkTimes(Date.now());

/** How a look may end. */
const outcomes = [
  'kept',
  'untouched',
  'restored',
  'started',
  ...['member_inactive', 'opted_out', 'not_in_rollout', 'organization_disconnected'].map(
    (cause) => `removed ${cause} automatic`,
  ),
  'removed organization_disconnected offered',
  'removed personal_disconnected offered',
];

const first = (differences: readonly string[]) => ({ seed, count: differences.length, first: differences.slice(0, 3) });
const none = { seed, count: 0, first: [] };

test('oracle and engine agree on generated worlds', async () => {
  const drafts = generateWorlds({ seed, each: least, size: 160 });
  played.push(...drafts.map((draft) => draft.played));
  await writeWorlds(database.db, played, times);
  const round = await playRound(database.db, played, prints);
  rounds.push(round);
  expect(first(round.differences)).toEqual(none);

  // Two worlds of five go on; each state of a connection is among them.
  const changes = drafts.flatMap((draft, index) => {
    const left = round.worlds[index];
    if (!left || left.key !== draft.key) throw new Error('worlds come back in order');
    return index % 5 < 2 ? [{ ...left, ...changeWorld(draft, left.world, seed + index) }] : [];
  });
  const second = await playSecondRound(database.db, changes, { first: round, prints, times });
  rounds.push(second);
  expect(first(second.differences)).toEqual(none);
}, 600_000);

test('a run straight after writes nothing', async () => {
  const again = rounds[1]?.worlds.filter((_, index) => index % 4 === 0) ?? [];
  expect(again.length).toBeGreaterThan(5);
  const round = await playRound(database.db, again, prints);
  expect(first(round.differences)).toEqual(none);
  expect(
    round.looks.filter(
      ({ answer: { outcome, started } }) => outcome.kind === 'removed' || outcome.kind === 'restored' || started,
    ),
  ).toEqual([]);
  expect([...round.ends].filter(([, { counts }]) => Object.keys(counts).length > 0)).toEqual([]);
}, 600_000);

test(`every combination that can exist was met ${least} times with each kind of event type`, () => {
  const counts = countCombinations(played.map(({ world }) => world));
  process.stdout.write(`Worlds: seed ${seed}, ${played.length} organizations\n${coverageTable(counts)}\n`);
  expect(unexpected(counts)).toEqual([]);
  expect(expectedCoverage(counts).filter(({ count }) => count < least)).toEqual([]);
});

test('every way for a look at an event type to end was met with each kind', () => {
  const counts = countOutcomes(rounds);
  process.stdout.write(
    `${[...counts]
      .sort()
      .map(([name, count]) => `${`${count}`.padStart(7)} ${name}`)
      .join('\n')}\n`,
  );
  const wanted = eventKinds.flatMap((kind) => outcomes.map((outcome) => `${outcome} / ${kind}`));
  expect(wanted.filter((name) => (counts.get(name) ?? 0) < 25)).toEqual([]);
});

afterAll(() => {
  prints.clear();
});
