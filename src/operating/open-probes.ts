import type { Database } from '../db/database.ts';
import { checkLiveness, createReadiness, healthy } from './health.ts';
import { createLoopDelay } from './loop-delay.ts';
import type { MetricSources, Metrics } from './metrics.ts';
import { type ProbeServer, startProbeServer } from './probe-server.ts';

/** Where a process is in its life, as probes tell it. */
export type LifeState = 'new' | 'starting' | 'ready' | 'stopping' | 'stopped';

export type ProbedProcess = {
  readonly config: { readonly host: string; readonly port: number | null };
  readonly db: Database;
  readonly metrics: Metrics & { readonly sources: MetricSources };
  readonly state: () => LifeState;
  /** what the watchdog said, if it said something */
  readonly wedged?: () => string | undefined;
};

/** Opens the operating port of a process, before it starts; undefined where none is configured. */
export async function openProbes({
  config,
  db,
  metrics,
  state,
  wedged = () => undefined,
}: ProbedProcess): Promise<ProbeServer | undefined> {
  if (config.port === null) return undefined;
  const loop = createLoopDelay();
  metrics.withProcessMetrics();
  const notReady = (): string | undefined => (state() === 'ready' ? undefined : `the process is ${state()}`);
  const server = await startProbeServer({
    host: config.host,
    port: config.port,
    probes: {
      startup: () =>
        state() === 'new' || state() === 'starting' ? { ok: false, because: `the process is ${state()}` } : healthy,
      live: () => checkLiveness({ loop, wedged }),
      ready: createReadiness({ db, state: notReady }),
      metrics: () => metrics.page(metrics.sources),
    },
  });
  return {
    url: server.url,
    async stop() {
      loop.stop();
      await server.stop();
    },
  };
}
