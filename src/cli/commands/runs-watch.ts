import { Option } from 'commander';
import { StewardError } from '../../errors.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { findOrganization } from '../find-organization.ts';
import { isUuid } from '../is-uuid.ts';
import { findNewestRun, getRun } from '../reads/run-rows.ts';
import { describeRun } from '../texts/run-text.ts';
import { watchRun } from '../watch-run.ts';

/** `runs watch RUN|ORG` */
export const runsWatch = defineCommand<{ readonly exitStatus?: boolean }>({
  name: 'watch',
  args: [['<run>', 'id of a run, or id or name of an organization: its newest run']],
  summary: 'follow a run to its end: done/total, rate, time left',
  details: 'Follows a run to its end, also through what supersedes it. With --json each look is a line.',
  examples: ['runs watch Northwind', 'runs watch 3f2a… --exit-status && echo done'],
  options: [new Option('--exit-status', 'exit 1 unless it ended as done')],
  exits: [
    '0  the run is over (with --exit-status: as done)',
    '1  failed; with --exit-status also: held or failed',
    '2  usage',
  ],
  async action({ args, options, print, open, io }) {
    const { db } = await open();
    const typed = args[0] as string;
    const run = await getRun(db, typed).catch(async (error: unknown) => {
      // Not a run: then the organization's newest one. An id of neither is told as a run's.
      if (isUuid(typed) && !(await findOrganization(db, typed).catch(() => undefined))) throw error;
      const organization = await findOrganization(db, typed);
      const newest = await findNewestRun(db, organization.id);
      if (newest) return newest;
      throw new StewardError(
        'run_not_found',
        `Expected a run of ${organization.name}, found none yet; zoom-steward reconcile ${organization.id} --apply makes one.`,
      );
    });
    const ended = await watchRun(db, run.id, {
      print,
      signal: io.signal,
      ...(options.json ? { each: (row) => print.item(row, () => row.state) } : {}),
    });
    if (!options.json) print.answer(ended, () => describeRun(ended));
    return options.exitStatus && ended.state !== 'done' ? exitCodes.error : exitCodes.ok;
  },
});
