import { InvalidArgumentError, Option } from 'commander';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { isUuid } from '../is-uuid.ts';
import { pointInTime } from '../point-in-time.ts';
import { listRuns } from '../reads/run-rows.ts';
import { textTable } from '../text-table.ts';
import { progressText } from '../texts/run-text.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = { readonly state?: string; readonly since?: Date; readonly before?: string; readonly limit: number };

function runId(text: string): string {
  if (isUuid(text)) return text;
  throw new InvalidArgumentError('Expected the whole id of a run, as "next" of the page before says it.');
}

/** `runs list [ORG]` */
export const runsList = defineCommand<Options>({
  name: 'list',
  args: [['[organization]', 'id or name; without it all of them']],
  summary: 'runs, newest first',
  examples: [
    'runs list',
    'runs list Northwind --state held',
    'runs list --since 24h --state failed',
    'runs list --json --limit 200',
  ],
  options: [
    new Option('--state <state>', 'only these').choices(['queued', 'running', 'done', 'superseded', 'held', 'failed']),
    new Option('--since <when>', 'only those written since: 30m, 24h, 7d, a date, or an instant').argParser(
      pointInTime,
    ),
    new Option('--before <run>', 'go on after this run').argParser(runId),
    new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(20),
  ],
  async action({ args, options: { state, since, before, limit }, print, open }) {
    const { db } = await open();
    const organization = args[0] === undefined ? undefined : await findOrganization(db, args[0]);
    const runs = await listRuns(db, {
      limit,
      ...(organization ? { organizationId: organization.id } : {}),
      ...(state === undefined ? {} : { state }),
      ...(since === undefined ? {} : { since }),
      ...(before === undefined ? {} : { before }),
    });
    print.answer({ runs, next: runs.length === limit ? runs.at(-1)?.id : null }, () =>
      textTable(
        ['run', 'organization', 'target', 'state', 'progress', 'cause', 'actor', 'created'],
        runs.map((run) => [
          run.id,
          run.organization,
          run.target,
          run.state,
          progressText(run),
          run.cause,
          run.actor,
          run.createdAt.toISOString(),
        ]),
      ),
    );
  },
});
