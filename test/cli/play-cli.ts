import type { CliIo } from '../../src/cli/cli-io.ts';
import type { ExitCode } from '../../src/cli/exit-codes.ts';
import { runCli } from '../../src/cli/program.ts';
import { watch } from '../support/canary/watch.ts';

export type Played = { readonly code: ExitCode; readonly out: string; readonly err: string };

export type PlayOptions = {
  readonly env?: Readonly<Record<string, string>>;
  /** answers of a person at a terminal, in order; not given: there is no terminal */
  readonly answers?: readonly string[];
  /** answers instead, from what was said on stderr so far */
  readonly answer?: (said: string) => string;
  readonly signal?: AbortSignal;
};

/** Runs a command line in this process, as if started by a script, or by a person who gives these answers. */
export async function playCli(
  argv: readonly string[],
  { env = {}, answers, answer: reply, signal }: PlayOptions = {},
): Promise<Played> {
  let out = '';
  let err = '';
  const left = [...(answers ?? [])];
  const io: CliIo = {
    stdout(text) {
      watch('stdout', text);
      out += text;
    },
    stderr(text) {
      watch('stderr', text);
      err += text;
    },
    interactive: answers !== undefined || reply !== undefined,
    live: false,
    color: false,
    ask(question) {
      err += question;
      const answer = reply ? reply(err) : left.shift();
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
