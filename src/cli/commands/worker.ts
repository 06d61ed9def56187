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
environment (.env.example); the log is JSON lines on stderr. With STEWARD_METRICS_PORT it answers /startupz, /healthz,
/readyz and /metrics there. One that starts nothing for STEWARD_WATCHDOG_MS, although jobs wait and slots are free, says so
and exits 1.`,
  examples: ['worker', 'worker 2> worker.log'],
  exits: [
    '0  stopped, nothing was left behind',
    '1  refused to start (one sentence), stopped with jobs left behind (listed), or ended itself because it was wedged',
    '2  usage',
  ],
  async action({ io, print }) {
    const { createServices } = await import('../../compose.ts');
    const { openProbes } = await import('../../operating/open-probes.ts');
    const services = createServices(processConfig(io, 'worker'));
    const wedged = new AbortController();
    const process = services.createWorker({
      onWedged: ({ queue, waiting, active, slots, idleMs }) =>
        wedged.abort(
          `Worker is wedged: ${waiting === 1 ? '1 job waits' : `${waiting} jobs wait`} in ${queue}, ${active} of ${slots} slots are in use, nothing is paused, and nothing was started for ${Math.round(idleMs / 1_000)} s.`,
        ),
    });
    const why = (): string | undefined => (wedged.signal.aborted ? String(wedged.signal.reason) : undefined);
    const { config, db, metrics } = services;
    const probes = await openProbes({ config: config.operating, db, metrics, state: process.state, wedged: why });
    try {
      await process.start();
      print.note(`Worker is ready.${probes === undefined ? '' : ` Probes and metrics: ${probes.url}`}`);
      io.force.addEventListener('abort', () => process.force(), { once: true });
      await waitForStop(AbortSignal.any([io.signal, wedged.signal]));
      if (why() !== undefined) print.note(`${why()} It ends itself; the supervisor starts another.`);
      const { orphans, failures } = await process.stop();
      print.answer({ orphans, failures, wedged: why() ?? null }, () =>
        orphans.length === 0
          ? 'Worker stopped.'
          : `Worker stopped; left behind, and done elsewhere after their locks end:\n${orphans.map(({ queue, name, key, id }) => `  ${queue} ${name} ${key} (${id})`).join('\n')}`,
      );
      for (const failure of failures) print.note(`did not close: ${failure}`);
      return orphans.length > 0 || failures.length > 0 || why() !== undefined ? exitCodes.error : exitCodes.ok;
    } finally {
      await probes?.stop();
    }
  },
});
