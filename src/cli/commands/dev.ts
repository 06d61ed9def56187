import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { Option } from 'commander';
import { findInstance } from '../../embedded/instance.ts';
import { StewardError } from '../../errors.ts';
import { defineCommand } from '../define-command.ts';
import { waitForStop } from '../wait-for-stop.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = { readonly port?: number; readonly profile: 'kind' | 'cruel'; readonly fresh?: boolean };

/** Also where other commands look for it. */
const dir = '.steward';

/** `dev` */
export const dev = defineCommand<Options>({
  name: 'dev',
  summary: 'everything on this machine: Postgres, worker, server and a simulated Zoom',
  details: `Starts a real Postgres from npm, the worker, the server and a simulated Zoom, with an organization to try things on,
until Ctrl-C. Data stay in .steward; the simulated Zoom forgets, so what was connected before must be approved again.
Other commands in this directory find it by themselves.`,
  examples: ['dev', 'dev --fresh --port 4000', 'connect-link Example --reason "trying it out"', 'status'],
  options: [
    new Option('--port <port>', 'of the server (default: any free one)').argParser(wholeNumber(1, 65_535)),
    new Option('--profile <name>', 'how the simulated Zoom behaves').choices(['kind', 'cruel']).default('kind'),
    new Option('--fresh', 'throw the data of the last time away'),
  ],
  async action({ io, print, options: { port, profile, fresh } }) {
    const { devLogFile, startDev } = await import('../dev/start-dev.ts');
    if (fresh) {
      if (await findInstance(dir))
        throw new StewardError(
          'instance_running',
          `Expected no dev that runs in ${dir}, found one; stop it before --fresh.`,
        );
      await rm(dir, { recursive: true, force: true });
    }
    // Under root the embedded Postgres runs as another user, who must get through.
    await mkdir(dir, { recursive: true, mode: 0o711 });
    const log = createWriteStream(devLogFile(dir), { flags: 'a', mode: 0o600 });
    const running = await startDev({ dir, profile, log, ...(port === undefined ? {} : { port }) });
    try {
      const { stop: _, ...told } = running;
      print.item(told, () =>
        [
          `server        ${told.serverUrl}`,
          `Zoom          ${told.zoomUrl} (simulated), control ${told.controlUrl}`,
          `database      ${told.databaseUrl}`,
          `log           ${devLogFile(dir)}`,
          '',
          'In another terminal, in this directory:',
          `  npm run -s steward -- connect-link ${told.organization} --reason "trying it out"`,
          `      then open the link and sign in as ${told.zoomAdmin}`,
          `  npm run -s steward -- status ${told.organization}`,
        ].join('\n'),
      );
      print.note('Ctrl-C stops it; the data stay.');
      await waitForStop(io.signal);
      print.note('Stopping …');
    } finally {
      for (const failure of await running.stop()) print.note(`did not close: ${failure}`);
      log.end();
    }
  },
});
