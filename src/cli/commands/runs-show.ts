import { defineCommand } from '../define-command.ts';
import { getRun } from '../reads/run-rows.ts';
import { describeRun } from '../texts/run-text.ts';

/** `runs show RUN` */
export const runsShow = defineCommand({
  name: 'show',
  args: [['<run>', 'id, or the first characters of it']],
  summary: 'one run: cause, actor, counts, what superseded it',
  examples: ['runs show 3f2a', 'runs show 3f2a --json'],
  async action({ args, print, open }) {
    const { db } = await open();
    const run = await getRun(db, args[0] as string);
    print.answer(run, () => describeRun(run));
  },
});
