import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { stateLimits } from '../../src/connections/account-limits-repository.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { createControlClient } from '../../src/simulator/control-client.ts';
import { connectAccount, servicesAt, walkAccount } from './connect-account.ts';

const sampleMs = 100;
/** Garbage is collected before every so many looks: what is left is held. */
const collectEvery = 5;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const pageSize = 300;
/** what walks first, so that code is compiled and connections stand before anything is measured */
const warmUpUsers = 10_000;

export type MeasureOptions = {
  /** of a migrated database, reference app included */
  readonly url: string;
  readonly users: readonly number[];
  /** medium calls a second of the account's contract, known to both sides */
  readonly mediumPerSecond: number;
  /** of them */
  readonly share: number;
};

export type Measured = {
  readonly users: number;
  /** of the whole walk, the swap included */
  readonly seconds: number;
  /** from the first page to the swap */
  readonly pagesSeconds: number;
  readonly msPerPage: number;
  /** largest while it walked, of this process, MB */
  readonly rssMb: number;
  /** of its heap, garbage left out */
  readonly heldMb: number;
};

/** Walks accounts of these sizes, one after the other, at a simulator that is another process; looks at this one's memory. */
export async function measureWalks({ url, users, mediumPerSecond, share }: MeasureOptions): Promise<Measured[]> {
  const program = join(import.meta.dirname, '../../src/cli/main.ts');
  const args = ['zoom-simulator', '--profile', 'kind', '--toggle', 'rate_limits=on', '--json'];
  const zoom = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const over = once(zoom, 'exit');
  try {
    const [line] = (await once(createInterface({ input: zoom.stdout }), 'line')) as [string];
    const { url: zoomUrl, controlUrl } = JSON.parse(line) as { url: string; controlUrl: string };
    const control = createControlClient(controlUrl);
    const services = servicesAt(url, zoomUrl);
    try {
      const measured: Measured[] = [];
      const limits = { perSecond: mediumPerSecond, perDay: null };
      for (const [n, count] of [warmUpUsers, ...users].entries()) {
        const { app, account } = walkAccount({ id: `acc_${n}`, users: count, limits: { medium: limits } });
        if (n === 0) await control.addApp(app);
        await control.addAccount(account);
        const zoomAccountId = account.id;
        await services.db
          .transaction()
          .execute((trx) =>
            stateLimits(trx, { zoomAccountId, limits, actor: 'operator:measure', reason: 'the contract' }),
          );
        await connectAccount(services, control, account);
        const one = await measureWalk(services, zoomAccountId, share);
        if (n > 0) measured.push(one);
      }
      return measured;
    } finally {
      await services.close();
    }
  } finally {
    zoom.kill('SIGTERM');
    await over;
  }
}

async function measureWalk(
  { connections, telemetry }: ReturnType<typeof servicesAt>,
  account: string,
  share: number,
): Promise<Measured> {
  let [rss, held, pages, lastPageMs, looks] = [0, 0, 0, 0, 0];
  const look = (): void => {
    rss = Math.max(rss, process.memoryUsage().rss);
    looks += 1;
    if (looks % collectEvery !== 1) return;
    collect();
    held = Math.max(held, process.memoryUsage().heapUsed);
  };
  const stop = telemetry.on('zoom_request', ({ endpoint }) => {
    if (endpoint !== 'users.list') return;
    pages += 1;
    lastPageMs = performance.now();
  });
  const sampling = setInterval(look, sampleMs);
  try {
    const begunMs = performance.now();
    for (;;) {
      const result = await syncDirectory(connections, account, { share, pageSize, sliceMs: 5_000 });
      if (result.state === 'more') continue;
      if (result.state !== 'done') throw new Error(`the walk came to ${JSON.stringify(result)}`);
      const [seconds, pagesSeconds] = [performance.now(), lastPageMs].map((ms) => (ms - begunMs) / 1_000) as [
        number,
        number,
      ];
      look();
      const mb = (bytes: number): number => Math.round(bytes / 2 ** 20);
      const { users } = result;
      return {
        users,
        seconds,
        pagesSeconds,
        msPerPage: (pagesSeconds * 1_000) / pages,
        rssMb: mb(rss),
        heldMb: mb(held),
      };
    }
  } finally {
    clearInterval(sampling);
    if (typeof stop === 'function') (stop as () => void)();
  }
}
