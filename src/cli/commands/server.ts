import { defineCommand } from '../define-command.ts';
import { processConfig } from '../process-config.ts';
import { waitForStop } from '../wait-for-stop.ts';

/** `server` */
export const server = defineCommand({
  name: 'server',
  summary: "listen: pages for people who connect, Zoom's redirect, the API of the main app",
  details: `Listens on STEWARD_HOST and STEWARD_PORT until SIGTERM or SIGINT; requests under way end first. Needs no worker to be
running. Configured by the environment (.env.example); the log is JSON lines on stderr. With STEWARD_METRICS_PORT it answers
/startupz, /healthz, /readyz and /metrics there.`,
  examples: ['server', 'server 2> server.log'],
  exits: ['0  stopped', '1  refused to start: one sentence', '2  usage'],
  async action({ io, print }) {
    const { createServices } = await import('../../compose.ts');
    const { startServer } = await import('../../http/server-process.ts');
    const { openProbes } = await import('../../operating/open-probes.ts');
    const services = createServices(processConfig(io, 'server'));
    let state: 'starting' | 'ready' | 'stopping' = 'starting';
    const { config, db, metrics } = services;
    const probes = await openProbes({ config: config.operating, db, metrics, state: () => state });
    try {
      const listening = await startServer(services);
      state = 'ready';
      print.item(
        { url: listening.url, publicUrl: config.publicUrl, probesUrl: probes?.url ?? null },
        () =>
          `Listening on ${listening.url}, reached as ${config.publicUrl}${probes === undefined ? '' : `; probes and metrics: ${probes.url}`}`,
      );
      await waitForStop(io.signal);
      state = 'stopping';
      await listening.stop();
    } finally {
      await probes?.stop();
      await services.close();
    }
  },
});
