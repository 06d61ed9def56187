import { Option } from 'commander';
import type { Actor } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { StewardError } from '../errors.ts';
import { type DeadLetter, getDeadLetter, listDeadLetters } from '../operating/dead-letters.ts';
import type { QueueSystem } from '../queues/queue.ts';
import type { CommandContext } from './define-command.ts';
import { openQueue } from './open-queue.ts';
import { askWhy, type WritingOptions, writingOptions } from './reason.ts';

export type SettleOptions = WritingOptions & { readonly job?: string; readonly all?: boolean };

/** Options of the commands that end dead letters: one by its name, or all of a job, or all. */
export const settleOptions = (): Option[] => [
  new Option('--job <name>', 'all whose job has this name'),
  new Option('--all', 'all there are'),
  ...writingOptions(),
];

const atMost = 10_000;

/** Ends the dead letters that the command line names, one after the other. @returns them */
export async function settleDeadLetters(
  context: CommandContext<SettleOptions>,
  end: (
    db: Database,
    letters: QueueSystem,
    letter: DeadLetter,
    why: { readonly actor: Actor; readonly reason: string },
  ) => Promise<void>,
): Promise<readonly DeadLetter[]> {
  const { args, options, io, open, print } = context;
  const ref = args[0];
  if ([ref, options.job, options.all].filter((given) => given !== undefined).length !== 1)
    throw new StewardError('usage', 'Expected one of a dead letter, --job or --all; "dead-letters list" shows them.');
  const { operator, reason } = await askWhy(context);
  const instance = await open();
  const letters = await openQueue(instance, io);
  try {
    const job = options.job === undefined ? {} : { job: options.job };
    const found =
      ref === undefined
        ? await listDeadLetters(letters, { ...job, limit: atMost })
        : [await getDeadLetter(letters, ref)];
    for (const [at, letter] of found.entries()) {
      if (io.signal.aborted) break;
      await end(instance.db, letters, letter, { actor: `operator:${operator}`, reason });
      if (found.length > 1) print.progress(`${at + 1}/${found.length}`);
    }
    print.endProgress();
    return found;
  } finally {
    await letters.close();
  }
}
