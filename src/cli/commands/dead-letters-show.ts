import { getDeadLetter } from '../../operating/dead-letters.ts';
import { defineCommand } from '../define-command.ts';
import { openQueue } from '../open-queue.ts';

/** `dead-letters show REF` */
export const deadLettersShow = defineCommand({
  name: 'show',
  args: [['<dead-letter>', 'as the list names it, e.g. quick:42']],
  summary: 'one dead letter: what it was about, and why it failed',
  examples: ['dead-letters show quick:42', 'dead-letters show quick:42 --json'],
  async action({ io, args, print, open }) {
    const letters = await openQueue(await open(), io);
    try {
      const found = await getDeadLetter(letters, args[0] as string);
      print.answer(found, () =>
        [
          `dead letter  ${found.ref}`,
          `job          ${found.job}, ${found.attempts} attempts used`,
          `about        ${found.key}`,
          `payload      ${JSON.stringify(found.payload)}`,
          `said         ${new Date(found.saidAtMs).toISOString()}`,
          `failed       ${new Date(found.failedAtMs).toISOString()}`,
          `why          ${found.reason}`,
        ].join('\n'),
      );
      print.note(
        `To say it again: zoom-steward dead-letters replay ${found.ref}; to forget it: dead-letters drop ${found.ref}`,
      );
    } finally {
      await letters.close();
    }
  },
});
