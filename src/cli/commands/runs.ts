import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { runsList } from './runs-list.ts';
import { runsShow } from './runs-show.ts';
import { runsWatch } from './runs-watch.ts';

/** `runs (list | show | watch)` */
export const runs: CommandFactory = (io, finish) => {
  const command = new Command('runs')
    .summary('reconciliations: what ran, what runs, what waits for a person')
    .description('Every reconciliation is a run with a cause, an actor, progress and counts.')
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  for (const create of [runsList, runsShow, runsWatch]) command.addCommand(create(io, finish));
  return command;
};
