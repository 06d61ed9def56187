import { Option } from 'commander';
import { parseRetention } from '../../config.ts';
import { insertAudit } from '../../db/audit-repository.ts';
import { countPrunable, type PruneCount, prune as pruneAll } from '../../operating/prune.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { textTable, thousands } from '../text-table.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & {
  readonly apply?: boolean;
  readonly runsDays?: number;
  readonly eventsDays?: number;
  readonly auditDays?: number;
};

const longestDays = 36_500;
const day = (): ReturnType<typeof wholeNumber> => wholeNumber(1, longestDays);

const table = (counts: readonly PruneCount[]): string =>
  textTable(
    ['what', 'rows', 'rule'],
    counts.map(({ what, rows, rule }) => [what, thousands(rows), rule]),
  );

/** `prune [--apply]` */
export const prune = defineCommand<Options>({
  name: 'prune',
  summary: 'delete what is over: old runs, events, audit, copies past their time; shows it unless --apply',
  details: `Counts what is over and changes nothing; with --apply deletes it, a few thousand rows a transaction. Never deleted: open
runs and the newest of each organization, what locations can still be restored from, events that the main app has not taken.
For a nightly job: prune --apply --reason "nightly job". Stops while writing is paused.`,
  examples: [
    'prune',
    'prune --apply --reason "nightly job"',
    'prune --apply --runs-days 30 --reason "the table is large"',
  ],
  options: [
    new Option('--apply', 'delete'),
    new Option('--runs-days <days>', 'keep runs so long (default: STEWARD_KEEP_RUNS_DAYS, 90)').argParser(day()),
    new Option('--events-days <days>', 'keep events so long (default: STEWARD_KEEP_EVENTS_DAYS, 30)').argParser(day()),
    new Option('--audit-days <days>', 'keep the audit log so long (default: STEWARD_KEEP_AUDIT_DAYS, 730)').argParser(
      day(),
    ),
    ...writingOptions(),
  ],
  async action(context) {
    const { io, options, print, open } = context;
    const configured = parseRetention(io.env);
    const retention = {
      runsDays: options.runsDays ?? configured.runsDays,
      eventsDays: options.eventsDays ?? configured.eventsDays,
      auditDays: options.auditDays ?? configured.auditDays,
    };
    if (!options.apply) {
      const { db } = await open();
      const counts = await countPrunable(db, retention);
      print.answer({ retention, applied: false, counts }, () => table(counts));
      print.note('Nothing was deleted. To delete it: zoom-steward prune --apply');
      return exitCodes.ok;
    }
    const { operator, reason } = await askWhy(context);
    const { db } = await open();
    const { deleted, stopped } = await pruneAll(db, retention, {
      signal: io.signal,
      onProgress: ({ what, rows }) => print.progress(`${what}: ${thousands(rows)} deleted`),
    });
    print.endProgress();
    const counts = Object.fromEntries(deleted.map(({ what, rows }) => [what, rows]));
    await db.transaction().execute((trx) =>
      insertAudit(trx, {
        organizationId: null,
        actor: `operator:${operator}`,
        action: 'pruned',
        reason,
        data: { retention, deleted: counts, stopped },
      }),
    );
    print.answer({ retention, applied: true, deleted, stopped }, () => table(deleted));
    if (stopped === 'paused')
      print.note('Stopped: an operator paused writing. Run it again after "zoom-steward resume".');
    else print.note('There is no way back but a backup.');
    return stopped === null ? exitCodes.ok : exitCodes.error;
  },
});
