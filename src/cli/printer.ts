import type { CliIo } from './cli-io.ts';

export type Printer = {
  /** the answer: JSON with --json, else text for people; on stdout */
  answer(data: unknown, text: () => string): void;
  /** one JSON document a line with --json, else one line of text; for what goes on */
  item(data: unknown, text: () => string): void;
  /** anything else a person wants to know; on stderr */
  note(text: string): void;
  /** `text` in bold where colors are wanted */
  bold(text: string): string;
  /** a line that replaces the one before on a terminal, and is a plain line elsewhere; on stderr */
  progress(text: string): void;
  /** ends a line that progress() keeps open */
  endProgress(): void;
};

const clearLine = '\r\u001b[2K';

/** Data on stdout, messages on stderr; nothing but data on stdout with `json`. */
export function createPrinter(io: CliIo, { json }: { readonly json: boolean }): Printer {
  let open = false;
  let last = '';
  const print = (data: unknown, text: () => string, space: number): void =>
    io.stdout(`${json ? JSON.stringify(data, null, space) : text()}\n`);
  const endProgress = (): void => {
    if (open) io.stderr('\n');
    open = false;
  };
  return {
    answer: (data, text) => print(data, text, 2),
    item: (data, text) => print(data, text, 0),
    note(text) {
      endProgress();
      io.stderr(`${text}\n`);
    },
    bold: (text) => (io.color && !json ? `\u001b[1m${text}\u001b[22m` : text),
    progress(text) {
      if (text === last) return;
      last = text;
      io.stderr(io.live ? `${clearLine}${text}` : `${text}\n`);
      open = io.live;
    },
    endProgress,
  };
}
