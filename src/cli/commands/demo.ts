import { Writable } from 'node:stream';
import { Option } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = {
  readonly members: number;
  readonly queue: 'postgres' | 'redis';
  readonly seed: number;
  readonly break?: string;
  readonly listChecks?: boolean;
};

/** The story is what one wants to see, so it is told on stdout; with --json on stderr, and stdout is the report. */
function storyStream(io: CliIo, json: boolean): Writable & { isTTY: boolean } {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (json) io.stderr(chunk.toString());
      else io.stdout(chunk.toString());
      done();
    },
  });
  return Object.assign(stream, { isTTY: io.live });
}

/** `demo` */
export const demo = defineCommand<Options>({
  name: 'demo',
  summary: 'the whole story on a fresh database, checked by SQL at every turn',
  details: `Plays the life of one organization on a fresh embedded Postgres, a queue of its own and a simulated Zoom at its most
cruel: connect, fan-out, take-overs, interruption, reconnect, disconnect, restore. Every turn is checked by SQL written
from the story. Only the log that it names stays. A million members want 20 GB of free disk
while it plays, in the folder for temporary files or in STEWARD_SCRATCH_DIR; the report says what each scene took, and
how long its checks.`,
  examples: [
    'demo',
    'demo --members 100000 --queue redis',
    'demo --members 1000000 --json > report.json',
    'demo --json | tail -n 1 | jq .ok',
    'demo --members 200 --break "every other location is unchanged"',
  ],
  options: [
    new Option('--members <count>', 'of the organization').argParser(wholeNumber(10, 5_000_000)).default(10_000),
    new Option('--queue <kind>', 'what carries the queue').choices(['postgres', 'redis']).default('postgres'),
    new Option('--seed <number>', 'equal seeds play equal worlds').argParser(wholeNumber(0, 2 ** 31)).default(1),
    new Option('--break <check>', 'damage what this check looks at, so that exactly it fails'),
    new Option('--list-checks', 'names for --break'),
  ],
  exits: ['0  every check held', '1  a check failed, or the story did', '2  usage', '130  interrupted'],
  async action({ io, print, options }) {
    const { checkNames, runDemo } = await import('../../demo/main.ts');
    if (options.listChecks) return print.answer(checkNames, () => checkNames.join('\n'));
    // The story cannot stop half-way; the embedded server ends with the process.
    io.signal.addEventListener('abort', () => process.exit(exitCodes.interrupted), { once: true });
    const report = await runDemo({
      members: options.members,
      queue: options.queue,
      seed: options.seed,
      breakCheck: options.break ?? null,
      out: storyStream(io, options.json),
      color: io.color && !options.json,
    });
    print.item(report, () =>
      report.ok
        ? `\nAll ${report.checks.length} checks held.`
        : `\n${report.checks.filter((check) => !check.ok).length} of ${report.checks.length} checks failed.`,
    );
    return report.ok ? exitCodes.ok : exitCodes.error;
  },
});
