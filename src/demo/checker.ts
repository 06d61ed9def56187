import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import { askChecks, beginChecks } from './ask-checks.ts';
import { checks, type Moment } from './checks.ts';
import type { CheckResult, Narrator } from './report.ts';

/** Checks of the moment after a scene. */
type BegunChecks = {
  readonly title: string;
  /** resolves when they are answered */
  readonly done: Promise<void>;
  results?: readonly CheckResult[];
  told: boolean;
};

export type CheckerOptions = {
  readonly db: Database;
  readonly narrator: Narrator;
  /** name of a check whose subject is damaged before it is asked; null: none */
  readonly breakCheck: string | null;
  /** told when the checks of a moment are answered, with the database as it stands: tests try every damage there */
  readonly afterMoment: ((db: Database, moment: Moment) => Promise<void>) | undefined;
};

export type Checker = {
  /**
   * Begins a moment's checks on the database as it is now. Those that take longer than a moment are answered while the
   * story goes on, and told after a later scene. `took` hears of the milliseconds until they were answered.
   */
  after(title: string, moment: Moment, took: (ms: number) => void): Promise<void>;
  /** Tells what was answered since. */
  tell(): void;
  /** Waits until all are answered, tells them, and gives them in the order of the story. */
  end(): Promise<readonly CheckResult[]>;
  /** Waits until none is under way, whatever comes of them, and tells what was answered: a story that broke off may be explained by it. */
  settle(): Promise<void>;
};

const answeredAtOnceMs = 250;

/** Asks the checks of the story beside the story: each sees the database as its scene left it. */
export function createChecker({ db, narrator, breakCheck, afterMoment }: CheckerOptions): Checker {
  const begun: BegunChecks[] = [];
  const allAnswered = async (): Promise<void> => void (await Promise.allSettled(begun.map(({ done }) => done)));

  function tell(now?: BegunChecks): void {
    for (const one of begun) {
      if (one.told || !one.results) continue;
      if (one !== now) narrator.tell(`As it was after “${one.title}”:`);
      for (const result of one.results) narrator.check(result);
      one.told = true;
    }
  }

  return {
    async after(title, moment, took) {
      const startedAt = performance.now();
      const damaged = checks.some(({ at, name }) => at === moment && name === breakCheck);
      // Damage is done to what is there, so nothing else may go on meanwhile.
      const { results } = damaged
        ? { results: askChecks(db, moment, breakCheck) }
        : await beginChecks(db, moment, allAnswered());
      const mine: BegunChecks = {
        title,
        told: false,
        done: results.then((answers) => {
          mine.results = answers;
          took(Math.round(performance.now() - startedAt));
        }),
      };
      begun.push(mine);
      if (damaged || afterMoment) await mine.done;
      // Behind others that are still asked it is not answered in a moment.
      else if (begun.every((one) => one === mine || one.results))
        await Promise.race([mine.done, pause(answeredAtOnceMs)]);
      tell(mine);
      if (!mine.told) narrator.tell('What must be true by now is checked while the story goes on.');
      await afterMoment?.(db, moment);
    },
    tell: () => tell(),
    async end() {
      await Promise.all(begun.map(({ done }) => done));
      tell(begun.at(-1));
      return begun.flatMap((one) => one.results ?? []);
    },
    async settle() {
      await allAnswered();
      tell();
    },
  };
}
