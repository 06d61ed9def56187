import { InvalidArgumentError, Option } from 'commander';
import { listOneTimeRuns, orderOneTimeRun, undoOneTimeRun } from '../../connections/one-time-run.ts';
import { previewOneTimeRun } from '../../reconciliation/preview-one-time-run.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { findOrganization } from '../find-organization.ts';
import { isUuid } from '../is-uuid.ts';
import { locationAdapter } from '../location-adapter.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { oneTimePreviewText, oneTimeRunsText } from '../texts/one-time-run-text.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & {
  readonly preview?: boolean;
  readonly apply?: boolean;
  readonly generation?: number;
  readonly undo?: string;
};

function parseId(text: string): string {
  if (isUuid(text)) return text;
  throw new InvalidArgumentError('Expected the id of a one-time run; without an option the command lists them.');
}

/** `one-time-run ORG [--preview | --apply | --undo ID]` */
export const oneTimeRun = defineCommand<Options>({
  name: 'one-time-run',
  args: [['<organization>', 'id or name']],
  summary: 'put Zoom into the event types that were there before the setting for new ones, or take that back',
  details: `With the setting zoom-for-new-event-types new event types start with Zoom; this is for the others, once: Zoom comes first where
a host can host and there is none, every other location stays. An event type somebody took Zoom out of is never touched
again. Without an option it lists what was ordered. --undo takes out what a run added and nobody edited since.`,
  examples: [
    'one-time-run Northwind --preview',
    'one-time-run Northwind --apply --generation 7 --reason "they asked for it, ticket 4711"',
    'one-time-run Northwind --undo 6f9f… --reason "not for the sales team"',
  ],
  options: [
    new Option('--preview', 'count what it would add, and what not; changes nothing').conflicts(['apply', 'undo']),
    new Option('--apply', 'order it').conflicts('undo'),
    new Option('--generation <number>', 'generation of the preview that was agreed to').argParser(wholeNumber(0, 1e9)),
    new Option('--undo <id>', 'a one-time run to take back').argParser(parseId),
    ...writingOptions(),
  ],
  async action(context) {
    const { args, options, print, open, io } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const organizationId = organization.id;
    if (options.undo !== undefined) {
      const oneTimeRunId = options.undo;
      const asker = await askWhy(context);
      const undone = await db
        .transaction()
        .execute((trx) => undoOneTimeRun(trx, { organizationId, asker, oneTimeRunId }));
      print.answer({ organization, ...undone }, () => `Run ${undone.runId} takes out what nobody edited since.`);
      print.note(`Follow it: zoom-steward runs watch ${undone.runId}`);
      print.note(`To undo: zoom-steward one-time-run ${organizationId} --preview, then --apply`);
      return exitCodes.ok;
    }
    if (!options.preview && !options.apply) {
      const oneTimeRuns = await listOneTimeRuns(db, organizationId);
      print.answer({ organization, oneTimeRuns }, () => oneTimeRunsText(oneTimeRuns));
      return exitCodes.ok;
    }
    const preview = await previewOneTimeRun(db, { organizationId, adapter: locationAdapter(io.env) });
    if (options.preview) {
      print.answer({ organization, preview }, () => oneTimePreviewText(preview));
      return exitCodes.ok;
    }
    const asker = await askWhy(context);
    const generation = options.generation ?? preview.generation;
    const ordered = await db
      .transaction()
      .execute((trx) => orderOneTimeRun(trx, { organizationId, asker, generation }));
    print.answer({ organization, ...ordered, preview }, () =>
      [oneTimePreviewText(preview), '', `Ordered: run ${ordered.runId} begins with it.`].join('\n'),
    );
    print.note(`Follow it: zoom-steward runs watch ${ordered.runId}`);
    print.note(`To undo: zoom-steward one-time-run ${organizationId} --undo ${ordered.oneTimeRunId}`);
    return exitCodes.ok;
  },
});
