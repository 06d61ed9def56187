import { createHmac } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Control, createControl } from './control.ts';
import { createControlServer } from './control-server.ts';
import { createDemotions } from './demotions.ts';
import { createFaults } from './faults.ts';
import { createGrantFamilies } from './grant-families.ts';
import type { JudgeLimits, Judgement } from './judge.ts';
import { createLedger, type LedgerEntry } from './ledger.ts';
import { createRateLimits } from './rate-limits.ts';
import { createSimulatedClock } from './simulated-clock.ts';
import { type ProfileName, profile, type ToggleName, withToggles } from './toggles.ts';
import { createWebhooks } from './webhooks.ts';
import { createWorld, defaultWorld, type WorldSpec } from './world.ts';
import { createZoomServer, type Tls } from './zoom-server.ts';
import type { ZoomState } from './zoom-state.ts';

export type SimulatorOptions = {
  /** default `cruel` */
  readonly profile?: ProfileName;
  readonly toggles?: Readonly<Partial<Record<ToggleName, string>>>;
  /** makes tokens, codes and ids; equal seeds make equal ones */
  readonly seed?: string | number;
  /** default: any free one */
  readonly port?: number;
  readonly controlPort?: number;
  /** default 127.0.0.1 for both ports */
  readonly host?: string;
  /** default: two apps and one account, `defaultWorld` */
  readonly world?: WorldSpec;
  /** what token answers name as `api_url` under the reading `own`; default: the simulator's address */
  readonly apiUrl?: string;
  /** speaks TLS, for tests that come by Zoom's own names */
  readonly tls?: Tls;
};

export type Simulator = {
  readonly url: string;
  readonly controlUrl: string;
  readonly endpoints: {
    readonly authorizeUrl: string;
    readonly tokenUrl: string;
    readonly revokeUrl: string;
    readonly apiBase: string;
  };
  readonly control: Control;
  ledger(): LedgerEntry[];
  judge(limits?: JudgeLimits): Judgement;
  /** Closes both ports and every connection; calls that are held end without an answer. Idempotent. */
  stop(): Promise<void>;
};

const listen = (server: Server, port: number, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

function createState(options: SimulatorOptions): ZoomState {
  const seed = String(options.seed ?? 'zoom');
  const clock = createSimulatedClock();
  const world = createWorld(options.world ?? defaultWorld);
  let readings = withToggles(profile(options.profile ?? 'cruel'), options.toggles ?? {});
  const toggles = () => readings;
  let made = 0;
  return {
    clock,
    world,
    families: createGrantFamilies({ clock, world, seed, toggles }),
    ledger: createLedger(),
    faults: createFaults(seed),
    limits: createRateLimits({ clock, toggles }),
    webhooks: createWebhooks({ clock, seed, toggles }),
    codes: new Map(),
    pageTokens: new Map(),
    expiredEarly: new Set(),
    meetings: new Map(),
    hostUse: new Map(),
    demotions: createDemotions({ clock, toggles }),
    random(length) {
      made += 1;
      return createHmac('sha512', seed).update(`random:${made}`).digest('base64url').slice(0, length);
    },
    toggles,
    setToggles(changes) {
      readings = withToggles(readings, changes);
      return readings;
    },
    baseUrl: '',
    apiUrl: '',
  };
}

/**
 * Starts a Zoom that runs on your machine: one port that plays Zoom, and another that controls it.
 * @throws when a port is taken or a toggle does not exist
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const host = options.host ?? '127.0.0.1';
  const state = createState(options);
  const control = createControl(state);
  const zoom = createZoomServer(state, options.tls);
  const controlServer = createControlServer(control);
  const base = (port: number, scheme = 'http'): string =>
    `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const url = base(await listen(zoom, options.port ?? 0, host), options.tls ? 'https' : 'http');
  state.baseUrl = url;
  state.apiUrl = options.apiUrl ?? url;
  const controlPort = await listen(controlServer, options.controlPort ?? 0, host).catch(async (error: unknown) => {
    await Promise.all([close(zoom), state.webhooks.stop()]);
    throw error;
  });
  let stopped: Promise<void> | undefined;
  return {
    url,
    controlUrl: base(controlPort),
    endpoints: {
      authorizeUrl: `${url}/oauth/authorize`,
      tokenUrl: `${url}/oauth/token`,
      revokeUrl: `${url}/oauth/revoke`,
      apiBase: url,
    },
    control,
    ledger: control.ledger,
    judge: control.judge,
    stop() {
      stopped ??= (async () => {
        state.faults.clear();
        await Promise.all([close(zoom), close(controlServer), state.webhooks.stop()]);
      })();
      return stopped;
    },
  };
}
