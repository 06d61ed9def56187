import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { mappingsDomains } from './mappings-domains.ts';
import { mappingsEquate } from './mappings-equate.ts';
import { mappingsImport } from './mappings-import.ts';
import { mappingsList } from './mappings-list.ts';
import { mappingsSeparate } from './mappings-separate.ts';
import { mappingsSet } from './mappings-set.ts';
import { mappingsSuggestions } from './mappings-suggestions.ts';

/** `mappings list | set | import | suggestions | domains | equate | separate` */
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
  const made = [
    mappingsList,
    mappingsSet,
    mappingsImport,
    mappingsSuggestions,
    mappingsDomains,
    mappingsEquate,
    mappingsSeparate,
  ];
  for (const make of made) command.addCommand(make(io, finish));
  return command;
};
