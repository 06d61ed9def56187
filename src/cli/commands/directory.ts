import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { directoryLimits } from './directory-limits.ts';
import { directoryShow } from './directory-show.ts';

/** `directory show | limits` */
export const directory: CommandFactory = (io, finish) => {
  const command = new Command('directory')
    .summary("the copy of a Zoom account's users, and the pace at which it is walked")
    .description(
      `Users of a connected Zoom account are listed every six hours and on demand, at a share of what Zoom allows that account.
docs/directory.md has the rules.`,
    )
    .addHelpText(
      'before',
      'Examples:\n  $ zoom-steward directory show Northwind\n  $ zoom-steward directory limits Northwind --plan business --reason "ticket 4711"\n',
    )
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  for (const make of [directoryShow, directoryLimits]) command.addCommand(make(io, finish));
  return command;
};
