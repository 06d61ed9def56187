import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { importPersonalCommand } from './import-personal.ts';

/** `import personal` */
export const importCommand: CommandFactory = (io, finish) => {
  const command = new Command('import')
    .summary('take over what the main app has kept so far')
    .description('Takes over what the main app has kept so far.')
    .addHelpText('before', 'Examples:\n  $ zoom-steward import personal tokens.ndjson --preview\n')
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  command.addCommand(importPersonalCommand(io, finish));
  return command;
};
