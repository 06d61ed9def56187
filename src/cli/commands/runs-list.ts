import { Option } from 'commander';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { listRuns } from '../reads/run-rows.ts';
import { textTable } from '../text-table.ts';
import { progressText } from '../texts/run-text.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = { readonly state?: string; readonly limit: number };

/** `runs list [ORG]` */
export const runsList = defineCommand<Options>({
  name: 'list',
  args: [['[organization]', 'id or name; without it all of them']],
  summary: 'runs, newest first',
  examples: ['runs list', 'runs list Northwind --state held', 'runs list --json --limit 200'],
  options: [
    new Option('--state <state>', 'only these').choices(['queued', 'running', 'done', 'superseded', 'held', 'failed']),
    new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(20),
  ],
  async action({ args, options: { state, limit }, print, open }) {
    const { db } = await open();
    const organization = args[0] === undefined ? undefined : await findOrganization(db, args[0]);
    const runs = await listRuns(db, {
      limit,
      ...(organization ? { organizationId: organization.id } : {}),
      ...(state === undefined ? {} : { state }),
    });
    print.answer({ runs }, () =>
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
