import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { queuesMove } from './queues-move.ts';

/** `queues move` */
export const queues: CommandFactory = (io, finish) => {
  const command = new Command('queues')
    .summary('what carries jobs: Postgres or Redis')
    .description('Jobs wait in queues on Postgres or on Redis; which one is recorded in the database.')
    .addHelpText('before', 'Examples:\n  $ zoom-steward queues move --to redis --reason "second machine"\n')
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  command.addCommand(queuesMove(io, finish));
  return command;
};
