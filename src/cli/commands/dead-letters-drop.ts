import { dropDeadLetter } from '../../operating/dead-letters.ts';
import { defineCommand } from '../define-command.ts';
import { type SettleOptions, settleDeadLetters, settleOptions } from '../settle-dead-letters.ts';
import { counted } from '../text-table.ts';

/** `dead-letters drop (REF | --job NAME | --all)` */
export const deadLettersDrop = defineCommand<SettleOptions>({
  name: 'drop',
  args: [['[dead-letter]', 'as the list names it, e.g. quick:42']],
  summary: 'forget it; the audit log keeps what it was',
  details: 'Forgets dead letters. What they were about is found again by the daily pass, if something is still wrong.',
  examples: ['dead-letters drop quick:42 --reason "of a release that is gone"'],
  options: settleOptions(),
  async action(context) {
    const found = await settleDeadLetters(context, dropDeadLetter);
    context.print.answer({ dropped: found.map(({ ref }) => ref) }, () => `Dropped: ${counted(found.length, 'job')}.`);
    if (found.length > 0)
      context.print.note(
        'To do what one of them was about after all: zoom-steward reconcile, or verify; payloads are in the audit log (dead_letter.dropped).',
      );
  },
});
