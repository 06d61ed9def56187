import type { AddressInfo } from 'node:net';
import type { Services } from '../compose.ts';
import type { Config } from '../config.ts';
import { createGateway } from './gateway.ts';
import { pruneMeetingRequests } from './meetings/requests.ts';
import { pruneUsedClaims } from './service-keys.ts';
import type { WebhookApp } from './webhook-app.ts';

const pruneIntervalMs = 10 * 60_000;

export type ServerProcess = {
  /** address it listens on */
  readonly url: string;
  /** Lets requests under way end, then stops listening. Services stay open: whoever made them closes them. */
  stop(): Promise<void>;
};

function webhookApps({ zoom }: Config): WebhookApp[] {
  const { admin, personal, webhookSecrets } = zoom;
  return [
    { kind: 'admin', clientId: admin.clientId, secrets: webhookSecrets.admin },
    ...(personal ? [{ kind: 'personal' as const, clientId: personal.clientId, secrets: webhookSecrets.personal }] : []),
  ];
}

/** Listens for the main app, for people who connect, and for Zoom's redirect. Needs no worker to be running. */
export async function startServer(services: Services): Promise<ServerProcess> {
  const { config } = services;
  const app = createGateway({
    deps: services.connections,
    publicUrl: config.publicUrl,
    claimSecret: config.claimSecret,
    locationAdapter: config.locationAdapter,
    log: services.log,
    telemetry: services.telemetry,
    meetingQuotas: config.meetingQuotas,
    webhooks: webhookApps(config),
  });
  await app.listen({ host: config.http.host, port: config.http.port });
  const { address, port, family } = app.server.address() as AddressInfo;
  // Not waited for: what stays in the journal is replayed at the next start, by whichever process.
  services.connections.grants
    .replayJournal()
    .catch((error: unknown) => services.log.warn({ err: error }, 'the journal was not replayed'));
  const prune = setInterval(() => {
    Promise.all([pruneUsedClaims(services.db), pruneMeetingRequests(services.db)]).catch((error: unknown) =>
      services.log.warn({ err: error }, 'used claims and requests for meetings were not pruned'),
    );
  }, pruneIntervalMs);
  prune.unref();
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async stop() {
      clearInterval(prune);
      await app.close();
    },
  };
}
