import type { CliIo } from '../../src/cli/cli-io.ts';
import type { ExitCode } from '../../src/cli/exit-codes.ts';
import { runCli } from '../../src/cli/program.ts';

export type Played = { readonly code: ExitCode; readonly out: string; readonly err: string };

export type PlayOptions = {
  readonly env?: Readonly<Record<string, string>>;
  /** answers of a person at a terminal, in order; not given: there is no terminal */
  readonly answers?: readonly string[];
  readonly signal?: AbortSignal;
};

/** Runs a command line in this process, as if started by a script, or by a person who gives these answers. */
export async function playCli(
  argv: readonly string[],
  { env = {}, answers, signal }: PlayOptions = {},
): Promise<Played> {
  let out = '';
  let err = '';
  const left = [...(answers ?? [])];
  const io: CliIo = {
    stdout(text) {
      out += text;
    },
    stderr(text) {
      err += text;
    },
    interactive: answers !== undefined,
    live: false,
    color: false,
    ask(question) {
      err += question;
      const answer = left.shift();
      if (answer === undefined) throw new Error(`nobody answers "${question}"`);
      return Promise.resolve(answer);
    },
    env: (name) => env[name],
    signal: signal ?? new AbortController().signal,
    force: new AbortController().signal,
  };
  const code = await runCli(argv, io);
  return { code, out, err };
}
