import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/start-simulator.ts';
import type { ZoomNetwork } from '../../src/zoom/send-once.ts';
import { createTestAuthority } from './test-authority.ts';

const authority = createTestAuthority();
const tls = authority.identity('zoom.us', 'api.zoom.us', 'api-eu.zoom.us');
const preload = resolve(import.meta.dirname, 'fixtures/resolve-zoom.ts');

export type ZoomByName = {
  readonly simulator: Simulator;
  /** leads a client of this process, at Zoom's own endpoints, to the simulator */
  readonly network: ZoomNetwork;
  /** host:port of every connection that `network` led, in order */
  readonly hosts: readonly string[];
  /** variables with which a Node process of its own reaches the simulator as `https://zoom.us` */
  environment(): Record<string, string>;
  stop(): Promise<void>;
};

/**
 * A simulator under a test authority as `zoom.us`, `api.zoom.us` and `api-eu.zoom.us`, which is the base that token
 * answers name (reading `own`). Everybody comes by Zoom's own names, so that no branch of production is skipped.
 */
export async function startZoomByName(options: Omit<SimulatorOptions, 'tls' | 'apiUrl'> = {}): Promise<ZoomByName> {
  const simulator = await startSimulator({ ...options, tls, apiUrl: 'https://api-eu.zoom.us' });
  const port = Number(new URL(simulator.url).port);
  const hosts: string[] = [];
  let folder: string | undefined;
  return {
    simulator,
    network: {
      ca: authority.ca,
      route: (host, wanted) => {
        hosts.push(`${host}:${wanted}`);
        return { host: '127.0.0.1', port };
      },
    },
    hosts,
    environment() {
      folder ??= mkdtempSync(join(tmpdir(), 'zoom-by-name-'));
      const file = join(folder, 'ca.pem');
      writeFileSync(file, authority.ca);
      return { NODE_EXTRA_CA_CERTS: file, NODE_OPTIONS: `--import=${preload}`, ZOOM_AT_PORT: String(port) };
    },
    async stop() {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      await simulator.stop();
    },
  };
}
