import type { Database } from '../../src/db/database.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { startSimulator } from '../../src/simulator/start-simulator.ts';
import { profile, type Toggles } from '../../src/simulator/toggles.ts';
import { createRandom, type Random } from '../crash/random.ts';
import { createSimulatedZoom } from '../grants/simulated-zoom.ts';
import { type Fate, fates, killedAnyTime } from './fates.ts';
import { canBeReal, playRound, type Stage } from './play-round.ts';
import { judgeRound } from './referee.ts';

export type RoundsOptions = {
  readonly db: Database;
  readonly databaseUrl: string;
  /** kind, cruel, or pairwise-N */
  readonly profile: string;
  readonly rounds: number;
  readonly seed: number;
  /** one of so many rounds has a process of its own and SIGKILL; 0: none */
  readonly realEvery: number;
  /** this round alone, to see it again */
  readonly only?: number;
  readonly say?: (line: string) => void;
};

export type RoundsReport = {
  readonly ok: boolean;
  readonly profile: string;
  readonly seed: number;
  readonly rounds: number;
  /** rounds with a process of its own, ended by SIGKILL; the others died inside one process, by a virtual clock */
  readonly realKills: number;
  /** what became of the grants: living, or the name of the death */
  readonly ends: Readonly<Record<string, number>>;
  /** the same for each fate */
  readonly byFate: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** rounds in which Zoom rotated and nobody had the pair */
  readonly lost: number;
  /** the longest of them, virtual milliseconds: from the fate to the suspicion, from there to the death */
  readonly slowestNoticeMs: number;
  readonly slowestDeclarationMs: number;
  readonly wrong: readonly { readonly round: number; readonly fate: string; readonly what: readonly string[] }[];
  readonly tookS: number;
};

/** The readings of a profile by its name. @throws where there is none of that name */
function togglesOf(name: string): Toggles {
  if (name === 'kind' || name === 'cruel') return profile(name);
  const profiles = pairwiseProfiles();
  const at = Number(/^pairwise-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
  const found = profiles[at];
  if (!found) throw new Error(`Expected kind, cruel or pairwise-0 to pairwise-${profiles.length - 1}, got ${name}`);
  return found;
}

function draw(random: Random, real: boolean): Fate {
  const among = real ? fates.filter(canBeReal) : fates;
  // Half of the real kills come at any time, not where we thought of.
  if (real && random.next() < 0.5) return killedAnyTime;
  let at = random.next() * among.reduce((sum, { weight }) => sum + weight, 0);
  const found = among.find(({ weight }) => {
    at -= weight;
    return at < 0;
  });
  return found ?? killedAnyTime;
}

/** Plays rounds against a simulator of its own, one after another, and has its ledger judge each. */
export async function runRounds(options: RoundsOptions): Promise<RoundsReport> {
  const { db, databaseUrl, rounds, seed, realEvery, only, say = () => {} } = options;
  const startedMs = performance.now();
  const simulator = await startSimulator({ seed, toggles: togglesOf(options.profile) });
  const stage: Stage = { db, databaseUrl, zoom: createSimulatedZoom(() => simulator), afterwards: [] };
  const ends = new Map<string, number>();
  const byFate: Record<string, Record<string, number>> = {};
  const wrong: { round: number; fate: string; what: string[] }[] = [];
  const seen = { real: 0, lost: 0, notice: 0, declaration: 0, rounds: 0 };
  try {
    for (let round = only ?? 1; round <= (only ?? rounds); round += 1) {
      const random = createRandom(seed * 1_000_003 + round);
      const real = realEvery > 0 && round % realEvery === 0;
      const fate = draw(random, real);
      const played = await playRound(stage, { fate, random, real });
      const what = judgeRound(fate, played);
      if (what.length > 0) {
        wrong.push({ round, fate: fate.name, what });
        say(`round ${round}, ${fate.name}: ${what.join('; ')}`);
      }
      const end = played.deadReason ?? played.state;
      ends.set(end, (ends.get(end) ?? 0) + 1);
      const ofFate = byFate[fate.name] ?? {};
      byFate[fate.name] = { ...ofFate, [end]: (ofFate[end] ?? 0) + 1 };
      seen.rounds += 1;
      if (real) seen.real += 1;
      if (played.rotations > played.rotationsHeld) {
        seen.lost += 1;
        seen.notice = Math.max(seen.notice, played.suspectAfterMs ?? 0);
        seen.declaration = Math.max(seen.declaration, (played.deadAfterMs ?? 0) - (played.suspectAfterMs ?? 0));
      }
      if (round % 100 === 0)
        say(`${options.profile}: ${round} of ${rounds} rounds, ${seen.lost} lost, ${wrong.length} wrong`);
    }
    await Promise.all(stage.afterwards);
  } finally {
    await simulator.stop();
  }
  return {
    ok: wrong.length === 0 && seen.rounds > 0,
    profile: options.profile,
    seed,
    rounds: seen.rounds,
    realKills: seen.real,
    ends: Object.fromEntries(ends),
    byFate,
    lost: seen.lost,
    slowestNoticeMs: seen.notice,
    slowestDeclarationMs: seen.declaration,
    wrong,
    tookS: Math.round((performance.now() - startedMs) / 100) / 10,
  };
}
