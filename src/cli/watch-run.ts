import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import { StewardError } from '../errors.ts';
import type { Printer } from './printer.ts';
import { getRun, type RunRow } from './reads/run-rows.ts';
import { span, thousands } from './text-table.ts';
import { doneOf } from './texts/run-text.ts';

const lookMs = 250;
/** Nobody started it for this long: probably no worker runs. */
const hintAfterMs = 5_000;
const nobody =
  'Nobody has started it yet: is a worker running (zoom-steward worker, or dev), and nothing paused (zoom-steward status)?';

const isOver = ({ state }: RunRow): boolean => state !== 'queued' && state !== 'running';

export type WatchOptions = {
  readonly print: Printer;
  readonly signal: AbortSignal;
  /** with --json: each change as a line */
  readonly each?: (run: RunRow) => void;
  /** how long nobody may start it, ms; not given: for ever */
  readonly patienceMs?: number;
};

/** One line a phase with done/total, rate and time left, until the run is over or held. Follows what supersedes it. */
export async function watchRun(
  db: Database,
  runId: string,
  { print, signal, each, patienceMs }: WatchOptions,
): Promise<RunRow> {
  let id = runId;
  let phase = '';
  let phaseBegan = performance.now();
  let doneAtBegin = 0;
  let hinted = false;
  const began = performance.now();
  for (;;) {
    const run = await getRun(db, id);
    const part = run.progress[run.phase];
    if (run.phase !== phase) {
      if (phase !== '') print.endProgress();
      phase = run.phase;
      phaseBegan = performance.now();
      doneAtBegin = part?.done ?? 0;
    }
    each?.(run);
    if (run.state === 'superseded' && run.supersededBy) {
      print.note(`run ${run.id} was superseded by ${run.supersededBy}`);
      id = run.supersededBy;
      continue;
    }
    if (run.state === 'running' && part && !each) {
      const rate = (part.done - doneAtBegin) / ((performance.now() - phaseBegan) / 1_000);
      const left = rate > 0 && part.total !== null ? `, ${span((part.total - part.done) / rate)} left` : '';
      const pace = rate > 0 ? `, ${thousands(Math.round(rate))}/s` : '';
      print.progress(`${run.phase} ${doneOf(part)}${pace}${left}`);
    }
    if (isOver(run)) {
      print.endProgress();
      return run;
    }
    const waitedMs = performance.now() - began;
    if (run.state === 'queued' && !hinted && waitedMs > hintAfterMs) {
      hinted = true;
      print.note(nobody);
    }
    if (run.state === 'queued' && patienceMs !== undefined && waitedMs > patienceMs)
      throw new StewardError('no_worker', `The run ${run.id} is written and stays owed. ${nobody}`);
    await pause(lookMs, undefined, { signal });
  }
}
