import { Option } from 'commander';
import { type QueueName, queueNames } from '../../jobs/contract/definition.ts';
import { listDeadLetters } from '../../operating/dead-letters.ts';
import { defineCommand } from '../define-command.ts';
import { openQueue } from '../open-queue.ts';
import { textTable } from '../text-table.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = { readonly queue?: QueueName; readonly job?: string; readonly limit: number };

const shownReason = 60;

/** `dead-letters list` */
export const deadLettersList = defineCommand<Options>({
  name: 'list',
  summary: 'dead letters, the latest first',
  examples: ['dead-letters list', 'dead-letters list --job verify-admin-role', 'dead-letters list --json --limit 1000'],
  options: [
    new Option('--queue <queue>', 'only of this one').choices(queueNames),
    new Option('--job <name>', 'only jobs of this name'),
    new Option('--limit <count>', 'at most so many').argParser(wholeNumber(1, 10_000)).default(20),
  ],
  async action({ io, print, options: { queue, job, limit }, open }) {
    const letters = await openQueue(await open(), io);
    try {
      const filter = { ...(queue === undefined ? {} : { queue }), ...(job === undefined ? {} : { job }) };
      const found = await listDeadLetters(letters, { ...filter, limit });
      print.answer({ deadLetters: found }, () =>
        found.length === 0
          ? 'There are no dead letters.'
          : textTable(
              ['dead letter', 'job', 'key', 'attempts', 'failed', 'why'],
              found.map((one) => [
                one.ref,
                one.job,
                one.key,
                one.attempts,
                new Date(one.failedAtMs).toISOString(),
                one.reason.slice(0, shownReason),
              ]),
            ),
      );
    } finally {
      await letters.close();
    }
  },
});
