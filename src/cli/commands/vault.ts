import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { vaultRewound } from './vault-rewound.ts';

/** `vault rewound` */
export const vault: CommandFactory = (io, finish) => {
  const command = new Command('vault')
    .summary('tokens after the database was put back to an earlier time')
    .description('What has to be said about the tokens as a whole.')
    .addHelpText('before', 'Examples:\n  $ zoom-steward vault rewound --to 2026-03-01T09:00:00Z --reason "restored"\n')
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  command.addCommand(vaultRewound(io, finish));
  return command;
};
