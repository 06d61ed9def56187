import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Health } from './health.ts';

/** What the operating port answers. */
export type Probes = {
  /** started: everything that is checked before the first job, or the first request, was right */
  readonly startup: () => Health;
  readonly live: () => Health;
  readonly ready: () => Promise<Health>;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
};

export type ProbeServer = { readonly url: string; stop(): Promise<void> };

function answer(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
}

const answerHealth = (response: ServerResponse, health: Health): void =>
  answer(response, health.ok ? 200 : 503, 'application/json', `${JSON.stringify(health)}\n`);

/**
 * The port for those who run it: `/startupz`, `/healthz`, `/readyz`, `/metrics`. A port of its own, because the
 * server's is open to the world; it tells counts and states, no name of anybody.
 */
export async function startProbeServer({
  host,
  port,
  probes,
}: {
  readonly host: string;
  readonly port: number;
  readonly probes: Probes;
}): Promise<ProbeServer> {
  const routes: Readonly<Record<string, (response: ServerResponse) => Promise<void> | void>> = {
    '/startupz': (response) => answerHealth(response, probes.startup()),
    '/healthz': (response) => answerHealth(response, probes.live()),
    '/readyz': async (response) => answerHealth(response, await probes.ready()),
    '/metrics': async (response) => {
      const { contentType, text } = await probes.metrics();
      answer(response, 200, contentType, text);
    },
  };
  const server = createServer((request, response) => {
    const route = routes[request.url?.split('?', 1)[0] ?? ''];
    if (route === undefined) return answer(response, 404, 'text/plain', 'not found\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'text/plain', 'only GET\n');
    Promise.resolve(route(response)).catch(() => {
      if (!response.headersSent) answer(response, 500, 'text/plain', 'failed\n');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
