import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../src/db/database.ts';
import type { Grants } from '../../src/grants/grants.ts';
import type { SimulatedZoom } from '../grants/simulated-zoom.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import type { Fate } from './fates.ts';

/** How long the impatient wait for Zoom: real time, and long enough for a Zoom on the same machine. */
const impatientMs = 250;
const patientMs = 20_000;

/** The process that meets the fate. `dead`: nothing of it goes on, as after SIGKILL, but what it sent has been sent. */
export type Mortal = {
  readonly grants: Grants;
  /** it has taken the lease */
  readonly acquired: Promise<void>;
  /** it stands still where its fate says so, until `goOn` */
  readonly paused: Promise<void>;
  isDead(): boolean;
  die(): void;
  goOn(): void;
  /** the database takes its transactions again */
  comesBack(): void;
  /**
   * For one that died with a pair in its hands: it tries to commit for ever, which no dead process does. Lets it find that
   * another one did; resolves when it is quiet.
   */
  bury(): Promise<void>;
};

/** Grants of a process that can die inside this one: it shares the machine with the others, and nothing else. */
export function createMortal(
  { db, zoom }: { readonly db: Database; readonly zoom: SimulatedZoom },
  { fate, journalFile }: { readonly fate: Fate; readonly journalFile: string | null },
): Mortal {
  const never = new Promise<never>(() => {});
  const pause = Promise.withResolvers<void>();
  const acquired = Promise.withResolvers<void>();
  const paused = Promise.withResolvers<void>();
  let dead = false;
  let away = false;
  const oauth =
    fate.also === 'nobody_listens'
      ? zoom.oauth(patientMs, 'http://127.0.0.1:9')
      : zoom.oauth(fate.impatient ? impatientMs : patientMs);
  const stored = Promise.withResolvers<void>();
  const before = (): void => {
    if (away) throw new Error('the database is away');
  };
  const grants = zoom.grants(interceptTransactions(db, { before }), {
    holder: 'mortal',
    ...(journalFile !== null && { journalFile }),
    times: { pollMs: 5 },
    oauth: {
      ...oauth,
      async refresh(...sent) {
        const answer = await oauth.refresh(...sent);
        return dead ? await never : answer;
      },
    },
    async onCrashPoint(point) {
      if (point === 'acquired') acquired.resolve();
      if (point === fate.diesAt) dead = true;
      if (point === 'answered' && (fate.also === 'database_away' || fate.also === 'journal')) away = true;
      if (point === fate.pausesAt) {
        paused.resolve();
        await pause.promise;
      }
      if (point === 'committed') stored.resolve();
      if (dead) await never;
    },
  });
  return {
    grants,
    acquired: acquired.promise,
    paused: paused.promise,
    isDead: () => dead,
    die() {
      dead = true;
    },
    goOn: () => pause.resolve(),
    comesBack() {
      away = false;
    },
    bury() {
      away = false;
      return stored.promise;
    },
  };
}

/** Waits for something that happens within milliseconds. @throws after ten seconds */
export async function until(what: string, holds: () => unknown): Promise<void> {
  for (const from = performance.now(); !(await holds()); await sleep(2))
    if (performance.now() - from > 10_000) throw new Error(`Expected ${what} within 10 s`);
}

/** Whether a pair lies whole in this folder. */
export const isJournaled = async (folder: string): Promise<boolean> =>
  (await readdir(folder)).some((name) => !name.endsWith('.part'));
