import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import { applyArchiveChanges, applyEdits, rewriteHosts } from './apply-changes.ts';
import type { Combination } from './combinations.ts';
import type { Prints } from './compare-locations.ts';
import type { Difference } from './compare-members.ts';
import { changeWorld } from './generate-changes.ts';
import { generateWorlds } from './generate-worlds.ts';
import { readHandWorlds } from './hand-worlds.ts';
import { playRound } from './play.ts';
import { walkTimes } from './world-rows.ts';
import { rewriteFacts, writeWorlds } from './write-worlds.ts';

/** There are a dozen ways to be able to host. */
const mostWhereMostIsDecided = ({ connection, hosting, personal }: Combination): number =>
  connection === 'active' && hosting === 'can_host' && personal !== 'usable' ? 24 : 3;

/**
 * A few worlds with everything in them, to see quickly whether an engine is wrong. They are written once; copies of
 * that database are then played with one engine each.
 */
export function createQuickWorlds(seed = 7) {
  const drafts = generateWorlds({ seed, each: mostWhereMostIsDecided, size: 80 });
  const times = walkTimes(Date.now());
  const { addresses } = readHandWorlds(readFileSync(new URL('../../../docs/behaviour.md', import.meta.url), 'utf8'));

  return {
    /** Writes the worlds into an empty migrated database. */
    write: (db: Database): Promise<void> =>
      writeWorlds(
        db,
        drafts.map(({ played }) => played),
        times,
      ),

    /** Plays them with the engine of this database; stops as soon as something differs. */
    async play(db: Database): Promise<readonly Difference[]> {
      const wrongKeys = await compareAddresses(db, addresses);
      if (wrongKeys.length > 0) return wrongKeys;
      const prints: Prints = new Map();
      const first = await playRound(
        db,
        drafts.map(({ played }) => played),
        prints,
      );
      if (first.differences.length > 0) return first.differences;
      const changes = drafts.flatMap((draft, index) => {
        const left = first.worlds[index];
        return left ? [{ ...left, ...changeWorld(draft, left.world, seed + index) }] : [];
      });
      await rewriteFacts(db, changes, times);
      await rewriteHosts(db, changes);
      for (const adapter of ['rows', 'json'] as const)
        await applyEdits(
          db,
          adapter,
          changes.filter((change) => change.adapter === adapter),
          first.stored[adapter],
        );
      await applyArchiveChanges(db, changes);
      return (await playRound(db, changes, prints)).differences;
    },
  };
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
