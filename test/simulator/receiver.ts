import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Taken = {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Record<string, unknown>;
};
export type Receiver = {
  readonly url: string;
  readonly taken: Taken[];
  /** events as they came, validations left out */
  events(): string[];
  stop(): Promise<void>;
};

/** A server that takes webhooks; `answer` says how, after they were noted. */
export async function startReceiver(
  answer: (taken: Taken) => { status: number; text?: string } | null = () => ({ status: 200 }),
): Promise<Receiver> {
  const taken: Taken[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const one = { headers: request.headers, text, json: JSON.parse(text) as Record<string, unknown> };
    taken.push(one);
    const said = answer(one);
    // Null: no answer, as from a process that hangs up.
    if (said) response.writeHead(said.status).end(said.text ?? '');
    else response.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    taken,
    events: () => taken.map(({ json }) => String(json['event'])).filter((event) => event !== 'endpoint.url_validation'),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
