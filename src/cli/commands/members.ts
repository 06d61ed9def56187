import { InvalidArgumentError, Option } from 'commander';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { isUuid } from '../is-uuid.ts';
import { listMembers } from '../reads/member-list.ts';
import { textTable } from '../text-table.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = {
  readonly effective?: string;
  readonly hosting?: string;
  readonly after?: string;
  readonly limit: number;
};

const effectives = ['personal', 'organization', 'none'];
const hostings = [
  'can_host',
  'no_zoom_user',
  'zoom_user_pending',
  'zoom_user_inactive',
  'no_meeting_licence',
  'email_not_verified',
  'ambiguous_match',
  'checking',
  'interrupted',
  'no_connection',
];

function memberId(text: string): string {
  if (isUuid(text)) return text;
  throw new InvalidArgumentError('Expected the id of a member, as "next" of the page before says it.');
}

/** `members ORG` */
export const members = defineCommand<Options>({
  name: 'members',
  args: [['<organization>', 'id or name']],
  summary: 'the members of an organization: who serves them and whether they can host',
  details: `Lists stored results, in the order of ids. What is true of one member in this instant: zoom-steward explain.`,
  examples: ['members Northwind --hosting no_zoom_user', 'members Northwind --json --limit 1000 --after 6f9f…'],
  options: [
    new Option('--effective <connection>', 'only those served by').choices(effectives),
    new Option('--hosting <answer>', 'only those with this answer').choices(hostings),
    new Option('--after <id>', 'go on after this member').argParser(memberId),
    new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 100_000)).default(50),
  ],
  async action({ args, options, print, open }) {
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const { effective, hosting, after, limit } = options;
    const rows = await listMembers(db, {
      organizationId: organization.id,
      limit,
      ...(effective === undefined ? {} : { effective }),
      ...(hosting === undefined ? {} : { hosting }),
      ...(after === undefined ? {} : { after }),
    });
    print.answer({ organization, members: rows, next: rows.length === limit ? rows.at(-1)?.id : null }, () =>
      textTable(
        ['member', 'name', 'effective', 'hosting', 'reason', 'notes'],
        rows.map((row) => [
          row.id,
          row.name,
          row.effective,
          row.hosting,
          row.reason,
          [row.basicPlan && '40 minutes', row.sharedHost && 'shared host'].filter(Boolean).join(', '),
        ]),
      ),
    );
    if (rows.length === 0)
      print.note(
        `None. Results are stored by the first run: zoom-steward reconcile ${organization.id} --plan shows what it would write.`,
      );
    if (rows.length === limit) print.note(`More: --after ${rows.at(-1)?.id}`);
  },
});
