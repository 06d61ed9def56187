import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { mappingsImport } from './mappings-import.ts';
import { mappingsList } from './mappings-list.ts';
import { mappingsSet } from './mappings-set.ts';

/** `mappings list | set | import` */
export const mappings: CommandFactory = (io, finish) => {
  const command = new Command('mappings')
    .summary('as which Zoom user a member hosts, where addresses do not say it')
    .description(
      `Members are matched to Zoom users by verified e-mail address. Where that does not fit – another domain, a married name,
a test account – an owner (by the API) or an operator (here, with a reason) says it. docs/directory.md has the rules.`,
    )
    .addHelpText(
      'before',
      'Examples:\n  $ zoom-steward mappings list Northwind\n  $ zoom-steward mappings import Northwind people.csv --preview\n',
    )
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  for (const make of [mappingsList, mappingsSet, mappingsImport]) command.addCommand(make(io, finish));
  return command;
};
