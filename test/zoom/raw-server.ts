import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { Identity } from './test-authority.ts';

export type RawServer = {
  readonly port: number;
  /** what came over all connections, after TLS if there is any */
  readonly received: () => string;
  readonly connections: () => number;
  /** resolves when the first bytes of a request came */
  readonly asked: Promise<void>;
};

/** A server without HTTP in it: `onBytes` does what it likes with the socket once a whole request came. */
export async function listenRaw(
  onBytes: (socket: Socket, request: string) => void,
  { tls, onConnection }: { readonly tls?: Identity; readonly onConnection?: (socket: Socket) => void } = {},
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let received = '';
  let connections = 0;
  let tellAsked = (): void => {};
  const asked = new Promise<void>((resolve) => {
    tellAsked = resolve;
  });
  const serve = (socket: Socket): void => {
    connections += 1;
    let request = '';
    socket.on('error', () => {});
    onConnection?.(socket);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      request += chunk.toString('latin1');
      tellAsked();
      const [head = '', body] = request.split('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (body !== undefined && body.length >= length) {
        const whole = request;
        request = '';
        onBytes(socket, whole);
      }
    });
  };
  const server: Server = tls ? createTlsServer(tls, serve) : createServer(serve);
  // Connections that never finish a handshake are closed as well.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    connections: () => connections,
    asked,
  };
}

/** An answer as bytes. */
export const answer = (body: string, head = 'HTTP/1.1 200 OK'): string =>
  `${head}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
