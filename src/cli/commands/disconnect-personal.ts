import { disconnectPersonal } from '../../connections/personal-connections.ts';
import { StewardError } from '../../errors.ts';
import { resolveMember } from '../../reconciliation/resolve-member.ts';
import { defineCommand } from '../define-command.ts';
import { findMember } from '../reads/member-explanation.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { hostingText } from '../texts/rule-text.ts';

/** `disconnect-personal MEMBER` */
export const disconnectPersonalCommand = defineCommand<WritingOptions>({
  name: 'disconnect-personal',
  args: [['<member>', 'id or e-mail address']],
  summary: "end a member's own Zoom for them; the member is told, with the reason",
  details: `Ends the managed Zoom of one member and gives its grant up. The organization's Zoom takes over by itself where it serves
them; elsewhere their Zoom locations go, archived. The member is told by an event that carries the reason: write it for them.
Zoom that the main app connects by itself (external) is not ours to end.`,
  examples: ['disconnect-personal jo@example.com --reason "you asked us to, ticket 4711"'],
  options: writingOptions(),
  async action(context) {
    const { args, print, open } = context;
    const { db } = await open();
    const member = await findMember(db, args[0] as string);
    const { operator, reason } = await askWhy(context);
    const ended = await db
      .transaction()
      .execute((trx) => disconnectPersonal(trx, { memberId: member.id, actor: `operator:${operator}`, reason }));
    if (!ended)
      throw new StewardError('no_personal_zoom', `${member.name} has no Zoom of their own here; nothing was done.`);
    const { effective, hosting } = await resolveMember(db, member.id);
    print.answer(
      { member, disconnected: true, effective, hosting },
      () =>
        `${member.name}'s own Zoom is ended and they are told. ${effective === 'none' ? 'Nothing serves them now' : "The organization's Zoom serves them"}; ${hostingText[hosting] ?? hosting}.`,
    );
    print.note('To undo: only the member can, by connecting their Zoom again.');
  },
});
