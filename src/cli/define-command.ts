import { Command, Option } from 'commander';
import type { CliIo } from './cli-io.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { type OpenInstance, openInstance } from './instance.ts';
import { createPrinter, type Printer } from './printer.ts';

export type CommonOptions = { readonly json: boolean; readonly input: boolean };

/** What the action of a command is given. */
export type CommandContext<Options> = {
  readonly io: CliIo;
  readonly print: Printer;
  readonly options: Options & CommonOptions;
  readonly args: readonly string[];
  /** asking is possible and wanted */
  readonly mayAsk: boolean;
  /** the database and what belongs to it, closed when the command ends */
  open(): Promise<OpenInstance>;
};

export type CommandSpec<Options> = {
  readonly name: string;
  /** e.g. `<organization>`; in square brackets when optional */
  readonly args?: readonly (readonly [name: string, description: string])[];
  readonly summary: string;
  /** shown first: a line each, without `zoom-steward` */
  readonly examples: readonly string[];
  readonly details?: string;
  readonly options?: readonly Option[];
  /** exit codes of its own, beside 0, 1, 2, 3 and 130 */
  readonly exits?: readonly string[];
  // biome-ignore lint/suspicious/noConfusingVoidType: most actions end well or throw, and need not say so
  action(context: CommandContext<Options>): Promise<ExitCode | void>;
};

export type CommandFactory = (io: CliIo, finish: (code: ExitCode) => void) => Command;

const program = 'zoom-steward';
const exitText = `Exit codes:
  0  done, or nothing to do
  1  failed; the message says what to do
  2  unknown command, option or argument
  3  refused: confirmation or reason missing, preview out of date, guard
`;

/**
 * Help that begins with examples, options that every command has, and the context of its action.
 * Actions that need much (queue, server, simulator) import it when they run: help and status must answer at once.
 */
export function defineCommand<Options = unknown>(spec: CommandSpec<Options>): CommandFactory {
  return (io, finish) => {
    const command = new Command(spec.name).summary(spec.summary).description(spec.details ?? spec.summary);
    for (const [name, description] of spec.args ?? []) command.argument(name, description);
    for (const option of spec.options ?? []) command.addOption(option);
    command.addOption(new Option('--json', 'data as JSON on stdout').default(false));
    command.addOption(new Option('--no-input', 'never ask; refuse instead'));
    command.helpOption('-h, --help', 'this help');
    command.addHelpText('before', `Examples:\n${spec.examples.map((line) => `  $ ${program} ${line}`).join('\n')}\n`);
    command.addHelpText(
      'after',
      `\n${spec.exits ? `Exit codes:\n${spec.exits.map((line) => `  ${line}`).join('\n')}\n` : exitText}`,
    );
    command.action(async () => {
      const options = command.opts() as Options & CommonOptions;
      const opened: OpenInstance[] = [];
      try {
        const code = await spec.action({
          io,
          print: createPrinter(io, { json: options.json }),
          options,
          args: command.args,
          mayAsk: io.interactive && options.input && !options.json,
          async open() {
            const instance = opened[0] ?? (await openInstance(io));
            if (opened.length === 0) opened.push(instance);
            return instance;
          },
        });
        finish(code ?? exitCodes.ok);
      } finally {
        await Promise.all(opened.map((instance) => instance.close()));
      }
    });
    return command;
  };
}
