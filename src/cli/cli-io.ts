import { createInterface } from 'node:readline/promises';
import { environmentVariable } from '../config.ts';

/** Everything a command knows of the world outside, so that tests can play it. */
export type CliIo = {
  stdout(text: string): void;
  stderr(text: string): void;
  /** a person is at the other end and can be asked */
  readonly interactive: boolean;
  /** stderr is a terminal: progress may rewrite its line */
  readonly live: boolean;
  readonly color: boolean;
  ask(question: string): Promise<string>;
  env(name: string): string | undefined;
  /** aborted by SIGINT or SIGTERM */
  readonly signal: AbortSignal;
  /** aborted by the second one: whoever still waits gives up */
  readonly force: AbortSignal;
};

/** The io of this process. Colors: only on a terminal, and never with NO_COLOR (https://no-color.org). */
export function processIo({ signal, force }: Pick<CliIo, 'signal' | 'force'>): CliIo {
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    interactive: Boolean(process.stdin.isTTY && process.stderr.isTTY),
    live: Boolean(process.stderr.isTTY),
    color: Boolean(process.stdout.isTTY) && environmentVariable('NO_COLOR') === undefined,
    async ask(question) {
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return await lines.question(question, { signal });
      } finally {
        lines.close();
      }
    },
    env: environmentVariable,
    signal,
    force,
  };
}
