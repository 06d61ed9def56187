import { defineCommand } from '../define-command.ts';
import { processConfig } from '../process-config.ts';
import { waitForStop } from '../wait-for-stop.ts';

/** `server` */
export const server = defineCommand({
  name: 'server',
  summary: "listen: pages for people who connect, Zoom's redirect, the API of the main app",
  details: `Listens on STEWARD_HOST and STEWARD_PORT until SIGTERM or SIGINT; requests under way end first. Needs no worker to be
running. Configured by the environment (.env.example); the log is JSON lines on stderr.`,
  examples: ['server', 'server 2> server.log'],
  exits: ['0  stopped', '1  refused to start: one sentence', '2  usage'],
  async action({ io, print }) {
    const { createServices } = await import('../../compose.ts');
    const { startServer } = await import('../../http/server-process.ts');
    const services = createServices(processConfig(io, 'server'));
    try {
      const listening = await startServer(services);
      print.item(
        { url: listening.url, publicUrl: services.config.publicUrl },
        () => `Listening on ${listening.url}, reached as ${services.config.publicUrl}`,
      );
      await waitForStop(io.signal);
      await listening.stop();
    } finally {
      await services.close();
    }
  },
});
