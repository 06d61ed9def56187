import { Command, CommanderError } from 'commander';
import { StewardError } from '../errors.ts';
import type { CliIo } from './cli-io.ts';
import { commands } from './command-list.ts';
import { type ExitCode, exitCodes, refusals } from './exit-codes.ts';

const examples = `Examples:
  $ zoom-steward demo                        the whole story on a fresh database, under a minute
  $ zoom-steward dev                         everything on this machine, with a Zoom that is simulated
  $ zoom-steward status                      who cannot host because of us, now
  $ zoom-steward explain MEMBER              which rule decided, from which facts
  $ zoom-steward reconcile --all --plan      what is not as it should be; changes nothing
`;

const footer = `
Data goes to stdout, messages to stderr. Every command takes --json and --no-input; NO_COLOR is honoured.
Commands work on DATABASE_URL, or on the "zoom-steward dev" that runs on this machine.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 130 interrupted; "reconcile --plan": 0 nothing to do, 1 failed, 2 changes.
`;

const helpWidth = 120;

const pathOf = (command: Command): string => (command.parent ? `${pathOf(command.parent)} ` : '') + command.name();

function createProgram(io: CliIo, json: boolean, finish: (code: ExitCode) => void): Command {
  const program = new Command('zoom-steward')
    .description("Keeps an organization's Zoom connection working for every member, for years.")
    .helpOption('-h, --help', 'this help')
    .helpCommand('help [command]', 'help of a command')
    .addHelpText('before', examples)
    .addHelpText('after', footer)
    .showSuggestionAfterError(true);
  for (const create of commands) program.addCommand(create(io, finish));
  const configure = (command: Command): void => {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.stdout(text),
      writeErr: (text) => io.stderr(text),
      outputError: (text, write) => {
        const message = `${text.replace(/^error: /, '').trimEnd()}\nSee ${pathOf(command)} --help`;
        write(`${json ? JSON.stringify({ error: { code: 'usage', message } }) : message}\n`);
      },
      getOutHelpWidth: () => helpWidth,
      getErrHelpWidth: () => helpWidth,
    });
    for (const child of command.commands) configure(child);
  };
  configure(program);
  return program;
}

/** Codes of StewardError that mean an argument which cannot be. */
const usageCodes: ReadonlySet<string> = new Set(['usage', 'unknown_check']);

const wantsJson = (argv: readonly string[]): boolean => argv.includes('--json');

// For reconcile 2 means that there are changes.
const usageCode = (argv: readonly string[]): ExitCode => (argv[0] === 'reconcile' ? exitCodes.error : exitCodes.usage);

function reportFailure(io: CliIo, argv: readonly string[], error: unknown): ExitCode {
  if (io.signal.aborted) return exitCodes.interrupted;
  const known = error instanceof StewardError ? error : undefined;
  const code = known?.code ?? (error as { code?: string }).code ?? 'unexpected';
  const message = describe(error);
  if (wantsJson(argv)) io.stderr(`${JSON.stringify({ error: { code, message, ...known?.context } })}\n`);
  else io.stderr(`${message}\n`);
  if (usageCodes.has(code)) return usageCode(argv);
  return refusals.has(code) ? exitCodes.refused : exitCodes.error;
}

const connectionRefused = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  '57P03',
  '28P01',
  '28000',
  '3D000',
]);
const notMigrated = new Set(['42P01', '3F000', '42883']);

/** The sentence for a failure; for those of the database what to do. */
function describe(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  const detail = message || String(error);
  if (code !== undefined && connectionRefused.has(code))
    return `Expected a database at DATABASE_URL, got: ${detail || code}. Check the address and whether it runs.`;
  if (code !== undefined && notMigrated.has(code))
    return `Expected the schema of this release, got: ${detail}. Run "zoom-steward migrate" first.`;
  return detail;
}

/** Runs one command line (without `node` and the script) and returns its exit code; never throws. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  try {
    await createProgram(io, wantsJson(argv), (given) => {
      code = given;
    }).parseAsync(argv as string[], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(io, argv, error);
    // Help that was asked for is an answer; everything else commander says is about usage.
    if (error.exitCode === 0) return exitCodes.ok;
    return usageCode(argv);
  }
}
