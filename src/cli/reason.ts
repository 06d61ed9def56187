import { userInfo } from 'node:os';
import { Option } from 'commander';
import type { Asker } from '../connections/authority.ts';
import { StewardError } from '../errors.ts';
import type { CommandContext } from './define-command.ts';

export type WritingOptions = { readonly reason?: string; readonly as?: string };

/** Options of every command that writes: why, and who. Both go to the audit log. */
export const writingOptions = (): Option[] => [
  new Option('--reason <text>', 'why; goes to the audit log (asked for on a terminal)'),
  new Option('--as <operator>', 'name of the operator in the audit log (default: login name)'),
];

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number without a name.
    return 'unknown';
  }
}

/** The operator who acts, with a reason: from --reason, else asked for, else refused. */
export async function askWhy({
  io,
  options,
  mayAsk,
}: CommandContext<WritingOptions>): Promise<Extract<Asker, { operator: string }>> {
  const reason = (options.reason ?? (mayAsk ? await io.ask('Reason (goes to the audit log): ') : '')).trim();
  if (reason === '')
    throw new StewardError('reason_missing', 'Expected a reason for what this changes, got none; add --reason "…".');
  return { operator: options.as ?? loginName(), reason };
}
