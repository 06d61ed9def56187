import { Option } from 'commander';
import { extendDeadline } from '../../connections/deadline.ts';
import { findConnectionId } from '../../connections/settings.ts';
import { StewardError } from '../../errors.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & { readonly days: number };

/** `extend-deadline ORG --days N` */
export const extendDeadlineCommand = defineCommand<Options>({
  name: 'extend-deadline',
  args: [['<organization>', 'id or name']],
  summary: 'give an interrupted organization more days to reconnect Zoom',
  details: `Moves the deadline at whose end an interrupted organization is disconnected, in its working hours. Reminders that are due
before the new end are sent again. Refused where no deadline runs: nothing is interrupted, the owners do not know of it yet, or
reconnect-days says never.`,
  examples: ['extend-deadline Northwind --days 7 --reason "their admin is away, ticket 4711"'],
  options: [
    new Option('--days <number>', 'whole days to add, 1 to 60').argParser(wholeNumber(1, 60)).makeOptionMandatory(),
    ...writingOptions(),
  ],
  async action(context) {
    const { args, options, print, open } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const asker = await askWhy(context);
    const connectionId = await findConnectionId(db, organization.id);
    if (connectionId === null)
      throw new StewardError('no_deadline', 'No deadline runs: nothing was ever connected; nothing was done.');
    const deadlineAt = await db
      .transaction()
      .execute((trx) => extendDeadline(trx, { connectionId, days: options.days, asker }));
    print.answer(
      { organization, deadlineAt },
      () => `${organization.name} has until ${deadlineAt.toISOString()} to reconnect Zoom.`,
    );
    print.note('There is no way to shorten it again; disconnect ends it at once.');
  },
});
