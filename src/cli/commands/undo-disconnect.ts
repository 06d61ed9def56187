import { undoDisconnect } from '../../connections/undo-disconnect.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';

/** `undo-disconnect ORG` */
export const undoDisconnectCommand = defineCommand<WritingOptions>({
  name: 'undo-disconnect',
  args: [['<organization>', 'id or name']],
  summary: 'undo the disconnect of a deadline that ran out, within 24 hours and without the customer',
  details: `The grant stays sealed for 24 hours after an automatic disconnect. This makes the connection active again and writes the
run that brings back members, and locations nobody edited since; a cascade under way is superseded. Zoom is asked at once: if
it still refuses us, the connection is interrupted, with a notice and a whole deadline. A disconnect that a person asked for,
or a grant that is dead, needs a new consent: see connect-link.`,
  examples: ['undo-disconnect Northwind --reason "our mistake, ticket 4711"'],
  options: writingOptions(),
  async action(context) {
    const { args, print, open } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const why = await askWhy(context);
    const undone = await db
      .transaction()
      .execute((trx) => undoDisconnect(trx, { organizationId: organization.id, ...why }));
    print.answer({ organization, ...undone }, () =>
      [
        `${organization.name} has its Zoom again (generation ${undone.generation})${undone.duringCascade ? '; the cascade stops' : ''}.`,
        `Run ${undone.runId} brings back members and locations.`,
      ].join('\n'),
    );
    print.note(`Follow it: zoom-steward runs watch ${undone.runId}`);
    print.note(`To undo: zoom-steward disconnect ${organization.id} --preview`);
  },
});
