import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { Combination } from './combinations.ts';
import type { Prints } from './compare-locations.ts';
import type { Difference } from './compare-members.ts';
import { changeWorld } from './generate-changes.ts';
import { generateWorlds } from './generate-worlds.ts';
import { changedHandWorlds, playableHandWorlds } from './hand-rounds.ts';
import { readHandWorlds } from './hand-worlds.ts';
import { playRound } from './play.ts';
import { type Played, playSecondRound } from './second-round.ts';
import { type PlayedWorld, type WalkTimes, walkTimes } from './world-rows.ts';
import { writeWorlds } from './write-worlds.ts';

/** There are a dozen ways to be able to host. */
const mostWhereMostIsDecided = ({ connection, hosting, personal }: Combination): number =>
  connection === 'active' && hosting === 'can_host' && personal !== 'usable' ? 24 : 3;

/**
 * The worlds of docs/behaviour.md and a few generated ones with everything in them, to see quickly whether an engine
 * is wrong. They are written once; copies of that database are then played with one engine each.
 */
export function createQuickWorlds(seed = 7) {
  const drafts = generateWorlds({ seed, each: mostWhereMostIsDecided, size: 80 });
  const times = walkTimes(Date.now());
  const hand = readHandWorlds(readFileSync(new URL('../../../docs/behaviour.md', import.meta.url), 'utf8'));
  const generated = drafts.map(({ played }) => played);
  const written = playableHandWorlds(hand);

  return {
    /** Writes the worlds into an empty migrated database. */
    write: (db: Database): Promise<void> => writeWorlds(db, [...generated, ...written], times),

    /** Plays them with the engine of this database, the few generated ones first; stops as soon as something differs. */
    async play(db: Database): Promise<readonly Difference[]> {
      const wrongKeys = await compareAddresses(db, hand.addresses);
      if (wrongKeys.length > 0) return wrongKeys;
      const changedDrafts = (left: readonly PlayedWorld[]): Played[] =>
        drafts.flatMap((draft, index) => {
          const before = left[index];
          return before ? [{ ...before, ...changeWorld(draft, before.world, seed + index) }] : [];
        });
      const differences = await playTwice(db, generated, changedDrafts, times);
      return differences.length > 0
        ? differences
        : playTwice(db, written, (left) => changedHandWorlds(hand, left), times);
    },
  };
}

async function playTwice(
  db: Database,
  worlds: readonly PlayedWorld[],
  change: (left: readonly PlayedWorld[]) => Played[],
  times: WalkTimes,
): Promise<readonly Difference[]> {
  const prints: Prints = new Map();
  const first = await playRound(db, worlds, prints);
  if (first.differences.length > 0) return first.differences;
  return (await playSecondRound(db, change(first.worlds), { first, prints, times })).differences;
}

async function compareAddresses(
  db: Database,
  addresses: readonly { typed: string; key: string }[],
): Promise<Difference[]> {
  const { rows } = await sql<{ typed: string; key: string; got: string }>`
    select typed, key, steward.address_key(typed) as got
      from unnest(${addresses.map(({ typed }) => typed)}::text[], ${addresses.map(({ key }) => key)}::text[]) as a (typed, key)
     where steward.address_key(typed) <> key`.execute(db);
  return rows.map(({ typed, key, got }) => `address "${typed}": oracle ${key}, engine ${got}`);
}
