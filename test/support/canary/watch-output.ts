import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { watch } from './watch.ts';

const sinkOf = (fd: unknown): 'stdout' | 'stderr' | undefined =>
  fd === 1 ? 'stdout' : fd === 2 ? 'stderr' : undefined;

type Content = string | Uint8Array;
type Writer = (fd: number, content: Content, ...rest: unknown[]) => unknown;

/** From now on everything that this process writes to stdout and stderr is watched, however it writes. */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write as (...args: unknown[]) => boolean;
    const sink = sinkOf(stream.fd) ?? 'stderr';
    stream.write = (content: Content, ...rest: unknown[]): boolean => {
      watch(sink, content);
      return write.call(stream, content, ...rest);
    };
  }
  // Logs are written to the descriptor itself.
  const through =
    (write: Writer): Writer =>
    (fd, content, ...rest) => {
      const sink = sinkOf(fd);
      if (sink) watch(sink, content);
      return write(fd, content, ...rest);
    };
  fs.writeSync = through(fs.writeSync as Writer) as typeof fs.writeSync;
  fs.write = through(fs.write as Writer) as typeof fs.write;
  syncBuiltinESMExports();
}
