import { Command } from 'commander';
import type { CommandFactory } from '../define-command.ts';
import { keysAbandon } from './keys-abandon.ts';
import { keysRotate } from './keys-rotate.ts';
import { keysStatus } from './keys-status.ts';

/** `keys status | rotate | abandon` */
export const keys: CommandFactory = (io, finish) => {
  const command = new Command('keys')
    .summary('the keys that seal tokens: what each seals, rotation, a key that is lost')
    .description(
      `Tokens are sealed with the active key of STEWARD_KEYS; every key of the ring opens. To rotate without an outage: add the
new key at the end of STEWARD_KEYS everywhere and restart; make it active (first, or STEWARD_ACTIVE_KEY) and restart;
run "keys rotate"; take the old key away when "keys status" counts no rows under it.`,
    )
    .addHelpText('before', 'Examples:\n  $ zoom-steward keys status\n  $ zoom-steward keys rotate --reason "yearly"\n')
    .helpOption('-h, --help', 'this help')
    .helpCommand(false);
  for (const make of [keysStatus, keysRotate, keysAbandon]) command.addCommand(make(io, finish));
  return command;
};
