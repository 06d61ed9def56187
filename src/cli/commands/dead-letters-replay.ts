import { replayDeadLetter } from '../../operating/dead-letters.ts';
import { defineCommand } from '../define-command.ts';
import { type SettleOptions, settleDeadLetters, settleOptions } from '../settle-dead-letters.ts';
import { counted } from '../text-table.ts';

/** `dead-letters replay (REF | --job NAME | --all)` */
export const deadLettersReplay = defineCommand<SettleOptions>({
  name: 'replay',
  args: [['[dead-letter]', 'as the list names it, e.g. quick:42']],
  summary: 'say it again, with all its attempts',
  details: `Says the message again through the outbox, and forgets the dead one. It is decided from today's facts, so saying
what is no longer true does nothing.`,
  examples: [
    'dead-letters replay quick:42 --reason "database was full"',
    'dead-letters replay --job verify-admin-role --reason "firewall mended"',
  ],
  options: settleOptions(),
  async action(context) {
    const found = await settleDeadLetters(context, replayDeadLetter);
    context.print.answer(
      { replayed: found.map(({ ref }) => ref) },
      () => `Said again: ${counted(found.length, 'job')}.`,
    );
    if (found.length > 0)
      context.print.note('There is nothing to undo: a job looks at what is, and does nothing where all is well.');
  },
});
