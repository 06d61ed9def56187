import type { Database } from '../../../src/db/database.ts';
import { applyArchiveChanges, applyEdits, rewriteHosts } from './apply-changes.ts';
import type { Prints } from './compare-locations.ts';
import type { ChangedWorld } from './generate-changes.ts';
import { playRound, type Round } from './play.ts';
import type { PlayedWorld, WalkTimes } from './world-rows.ts';
import { rewriteFacts } from './write-worlds.ts';

/** A world that changed since its first round. */
export type Played = PlayedWorld & ChangedWorld;

/** Writes what changed in these worlds since a round, and plays them once more. */
export async function playSecondRound(
  db: Database,
  changes: readonly Played[],
  { first, prints, times }: { readonly first: Round; readonly prints: Prints; readonly times: WalkTimes },
): Promise<Round> {
  await rewriteFacts(db, changes, times);
  await rewriteHosts(db, changes);
  for (const adapter of ['rows', 'json'] as const) {
    const ofAdapter = changes.filter((change) => change.adapter === adapter);
    await applyEdits(db, adapter, ofAdapter, first.stored[adapter]);
  }
  await applyArchiveChanges(db, changes);
  return playRound(db, changes, prints);
}
