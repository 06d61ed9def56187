import { defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { processConfig } from '../process-config.ts';
import { waitForStop } from '../wait-for-stop.ts';

/** `worker` */
export const worker = defineCommand({
  name: 'worker',
  summary: 'do the work: relay the outbox, run jobs, until SIGTERM',
  details: `Relays the outbox, runs jobs and looks for due work until SIGTERM or SIGINT; then lets short work end, hands long work
over and exits within STEWARD_SHUTDOWN_MS. A second signal does not wait. Any number may run at once. Configured by the
environment (.env.example); the log is JSON lines on stderr.`,
  examples: ['worker', 'worker 2> worker.log'],
  exits: [
    '0  stopped, nothing was left behind',
    '1  refused to start (one sentence), or stopped with jobs left behind (listed)',
    '2  usage',
  ],
  async action({ io, print }) {
    const { createServices } = await import('../../compose.ts');
    const services = createServices(processConfig(io, 'worker'));
    const process = services.createWorker();
    await process.start();
    print.note('Worker is ready.');
    io.force.addEventListener('abort', () => process.force(), { once: true });
    await waitForStop(io.signal);
    const { orphans, failures } = await process.stop();
    print.answer({ orphans, failures }, () =>
      orphans.length === 0
        ? 'Worker stopped.'
        : `Worker stopped; left behind, and done elsewhere after their locks end:\n${orphans.map(({ queue, name, key, id }) => `  ${queue} ${name} ${key} (${id})`).join('\n')}`,
    );
    for (const failure of failures) print.note(`did not close: ${failure}`);
    return orphans.length > 0 || failures.length > 0 ? exitCodes.error : exitCodes.ok;
  },
});
