import type { Config } from '../../config.ts';
import type { Database } from '../../db/database.ts';
import type { QueueSystem } from '../../queues/queue.ts';

/** ok: nothing to do; warn: somebody should look; fail: it does not work, or will not; skipped: could not be looked at. */
export type FindingState = 'ok' | 'warn' | 'fail' | 'skipped';

export type Verdict = {
  readonly state: FindingState;
  /** what was found, with figures */
  readonly found: string;
  /** what to do; always there unless ok */
  readonly mend?: string;
};

export type Finding = Verdict & { readonly name: string };

/** What an examination looks at. */
export type Patient = {
  readonly db: Database;
  /** null: there is none here (a running "dev" keeps its own), or it has problems, which are a finding of their own */
  readonly config: Config | null;
  readonly configProblems: readonly string[];
  /** opens the recorded queue; the examination closes it */
  readonly openQueue: () => Promise<QueueSystem>;
};

/** What a check needs to have been found ok or warn before it makes sense. */
export type Need = 'database' | 'schema' | 'configuration' | 'queue';

export type Check = {
  readonly name: string;
  readonly needs: readonly Need[];
  /** one verdict, or an error, which is a verdict too */
  look(patient: Patient & { readonly queue: QueueSystem }): Promise<Verdict>;
};

export const ok = (found: string): Verdict => ({ state: 'ok', found });
export const warn = (found: string, mend: string): Verdict => ({ state: 'warn', found, mend });
export const fail = (found: string, mend: string): Verdict => ({ state: 'fail', found, mend });
