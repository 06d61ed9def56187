import { StewardError } from '../errors.ts';
import type { CommandContext } from './define-command.ts';

/** Yes or no on a terminal; elsewhere the flag must have said it. */
export async function askYes({ io, mayAsk }: CommandContext<unknown>, question: string, flag: string): Promise<void> {
  if (mayAsk && /^y(es)?$/i.test((await io.ask(`${question} [y/N] `)).trim())) return;
  throw new StewardError(
    'confirmation_missing',
    `Expected a yes to "${question}", got none; nothing was changed. Without a terminal add ${flag}.`,
  );
}
