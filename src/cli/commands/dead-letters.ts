import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { deadLettersDrop } from './dead-letters-drop.ts';
import { deadLettersList } from './dead-letters-list.ts';
import { deadLettersReplay } from './dead-letters-replay.ts';
import { deadLettersShow } from './dead-letters-show.ts';

/** `dead-letters (list | show | replay | drop)` */
export const deadLetters: CommandFactory = (io, finish) => {
  const command = new Command('dead-letters')
    .summary('jobs that failed for good: look, say again, or drop')
    .description(
      'A job that used up its attempts, was cancelled, or could not be understood waits here, for 14 days at most.',
    )
    .addHelpText(
      'before',
      'Examples:\n  $ zoom-steward dead-letters list\n  $ zoom-steward dead-letters show quick:42\n',
    )
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  for (const create of [deadLettersList, deadLettersShow, deadLettersReplay, deadLettersDrop])
    command.addCommand(create(io, finish));
  return command;
};
