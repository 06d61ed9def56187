import { join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { createServices } from '../../compose.ts';
import { loadConfig } from '../../config.ts';
import { createDatabase } from '../../db/database.ts';
import { migrateReferenceApp } from '../../db/migrate.ts';
import { freePort } from '../../embedded/free-port.ts';
import { startInstance } from '../../embedded/instance.ts';
import { startServer } from '../../http/server-process.ts';
import { webhookPath } from '../../http/webhook-app.ts';
import { createLogger } from '../../logger.ts';
import { migrateAll } from '../../queues/migrate-all.ts';
import { createReleaseStack } from '../../release-stack.ts';
import { Secret } from '../../secret.ts';
import { startSimulator } from '../../simulator/start-simulator.ts';
import { devSecrets } from './dev-secrets.ts';
import { exampleZoomAdmin, seedExample } from './example-organization.ts';

export type DevOptions = {
  /** where data and secrets stay between two starts */
  readonly dir: string;
  readonly port?: number;
  readonly profile: 'kind' | 'cruel';
  /** log of worker and server */
  readonly log: Writable;
};

export type Dev = {
  readonly serverUrl: string;
  readonly zoomUrl: string;
  readonly controlUrl: string;
  readonly databaseUrl: string;
  /** of the organization to try things on */
  readonly organization: string;
  /** whom to sign in as at the simulated Zoom, to approve */
  readonly zoomAdmin: string;
  /** Stops everything in the order in which nothing is lost; the data stay. Returns what did not close. */
  stop(): Promise<readonly string[]>;
};

async function prepareDatabase(url: string, queuePrefix: string): Promise<string> {
  const db = createDatabase({ url, max: 2 });
  try {
    await migrateReferenceApp(db);
    await migrateAll(db, { databaseUrl: new Secret(url), queue: 'postgres', queuePrefix });
    return await seedExample(db);
  } finally {
    await db.destroy();
  }
}

/** Postgres, queue, simulated Zoom, worker and server in this process. Other commands find it by its directory. */
export async function startDev({ dir, port, profile, log: logTo }: DevOptions): Promise<Dev> {
  const stack = createReleaseStack();
  const stop = async (): Promise<readonly string[]> =>
    (await stack.release()).map(({ name, error }) => `${name}: ${String(error)}`);
  try {
    const instance = await startInstance(dir);
    stack.add('postgres', () => instance.stop());
    const zoom = await startSimulator({ profile });
    stack.add('zoom', () => zoom.stop());
    const secrets = await devSecrets(resolve(dir));
    const listenPort = port ?? (await freePort());
    const config = loadConfig({
      STEWARD_MODE: 'simulator',
      DATABASE_URL: instance.url,
      STEWARD_QUEUE: 'postgres',
      STEWARD_PUBLIC_URL: `http://127.0.0.1:${listenPort}`,
      STEWARD_PORT: String(listenPort),
      STEWARD_KEYS: secrets.keys,
      STEWARD_CLAIM_SECRET: secrets.claimSecret,
      ZOOM_BASE_URL: zoom.url,
      ZOOM_ADMIN_CLIENT_ID: 'sim_admin_app',
      ZOOM_ADMIN_CLIENT_SECRETS: 'sim-admin-secret',
      ZOOM_ADMIN_WEBHOOK_SECRETS: 'sim-admin-webhooks',
      ZOOM_PERSONAL_CLIENT_ID: 'sim_personal_app',
      ZOOM_PERSONAL_CLIENT_SECRETS: 'sim-personal-secret',
      ZOOM_PERSONAL_WEBHOOK_SECRETS: 'sim-personal-webhooks',
    });
    const organization = await prepareDatabase(instance.url, config.queuePrefix);
    const services = createServices(config, { log: createLogger({ level: config.logLevel, destination: logTo }) });
    stack.add('services', () => services.close());
    const worker = services.createWorker({ keepOpen: true });
    await worker.start();
    stack.add('worker', async () => {
      await worker.stop();
    });
    const server = await startServer(services);
    stack.add('server', () => server.stop());
    for (const kind of ['admin', 'personal'] as const)
      zoom.control.subscribe({
        clientId: `sim_${kind}_app`,
        url: `${server.url}${webhookPath(kind)}`,
        secret: `sim-${kind}-webhooks`,
      });
    await instance.tell({ publicUrl: config.publicUrl, zoom: zoom.url, zoomControl: zoom.controlUrl });
    return {
      serverUrl: server.url,
      zoomUrl: zoom.url,
      controlUrl: zoom.controlUrl,
      databaseUrl: instance.url,
      organization,
      zoomAdmin: exampleZoomAdmin,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Log of a development directory, for people who look for what happened. */
export const devLogFile = (dir: string): string => join(resolve(dir), 'dev.log');
