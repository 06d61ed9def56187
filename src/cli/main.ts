import { processIo } from './cli-io.ts';
import { exitCodes } from './exit-codes.ts';
import { runCli } from './program.ts';

const lastWordsMs = 1_500;
const stopping = new AbortController();
const forcing = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (!stopping.signal.aborted) return stopping.abort(signal);
    // The second signal waits for nothing but a last line about what is left behind.
    forcing.abort(signal);
    setTimeout(() => process.exit(exitCodes.interrupted), lastWordsMs);
  });
// `zoom-steward … | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), processIo({ signal: stopping.signal, force: forcing.signal }));
// What is left open by now – a job that would not stop – must not keep the process.
setTimeout(() => process.exit(), lastWordsMs).unref();
