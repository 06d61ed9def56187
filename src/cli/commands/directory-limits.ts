import { Option } from 'commander';
import { type Plan, plans } from '../../connections/account-limits.ts';
import { stateLimits } from '../../connections/account-limits-repository.ts';
import { StewardError } from '../../errors.ts';
import { defineCommand } from '../define-command.ts';
import { describeLimits, findZoomAccount, readDirectoryStatus } from '../reads/directory-status.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & {
  readonly plan?: Plan;
  readonly medium?: number;
  readonly daily?: number;
  readonly forget?: true;
};

/** `directory limits ACCOUNT (--plan PLAN | --medium N [--daily N] | --forget)` */
export const directoryLimits = defineCommand<Options>({
  name: 'limits',
  args: [['<account>', 'Zoom account id, or id or name of an organization on it']],
  summary: 'say what Zoom allows an account by contract; goes before what we learn',
  details: `Users are listed at ZOOM_RATE_SHARE of the medium calls that Zoom allows the account, for all its apps together. What
that is, we learn from Zoom's answers; where they do not say it, or a contract allows more than Business, say it here.`,
  examples: [
    'directory limits Northwind --plan business --reason "ticket 4711"',
    'directory limits x3fYk2 --medium 120 --reason "contract of May"',
    'directory limits x3fYk2 --forget --reason "contract ended"',
  ],
  options: [
    new Option('--plan <plan>', "a plan's published limits").choices(Object.keys(plans)).conflicts(['medium', 'daily']),
    new Option('--medium <n>', 'medium calls a second').argParser(wholeNumber(1, 1_000)),
    new Option('--daily <n>', 'and a UTC day; without it: as many').argParser(wholeNumber(1, 100_000_000)),
    new Option('--forget', 'go by what we learn again').conflicts(['plan', 'medium', 'daily']),
    ...writingOptions(),
  ],
  async action(context) {
    const { args, open, options, print } = context;
    const { plan, medium, daily, forget } = options;
    if (!forget && plan === undefined && medium === undefined)
      throw new StewardError(
        'usage',
        `Expected --plan, --medium or --forget, got ${daily === undefined ? 'none of them' : 'only --daily'}.`,
      );
    const { db } = await open();
    const zoomAccountId = await findZoomAccount(db, args[0] as string);
    const { operator, reason } = await askWhy(context);
    const limits =
      plan !== undefined ? plans[plan] : medium === undefined ? null : { perSecond: medium, perDay: daily ?? null };
    await db
      .transaction()
      .execute((trx) => stateLimits(trx, { zoomAccountId, limits, actor: `operator:${operator}`, reason }));
    const found = await readDirectoryStatus(db, zoomAccountId);
    print.answer({ zoomAccountId, directory: found }, () => `${zoomAccountId}: ${found ? describeLimits(found) : ''}`);
    print.note(`To undo: zoom-steward directory limits ${zoomAccountId} --forget --reason "…"`);
  },
});
