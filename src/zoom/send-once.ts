import { type Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** A whole answer, kept as bytes. */
export type HttpAnswer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer };

/**
 * How one request ended. `not_sent`: not a byte of it was handed to a connected socket, so repeating it is safe.
 * `unknown`: it may have been acted upon; `beforeAnswer` says that not even a status came back.
 */
export type HttpOutcome =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  | { readonly kind: 'not_sent'; readonly detail: string }
  | {
      readonly kind: 'unknown';
      readonly detail: string;
      readonly beforeAnswer: boolean;
      readonly reusedSocket: boolean;
    };

/** Where connections really go, for tests that reach a fake by Zoom's own names under a CA of their own. */
export type ZoomNetwork = {
  /** other address for a host; name in the certificate and in the request stay those of the host */
  route?(host: string, port: number): { readonly host: string; readonly port: number };
  /** certificates trusted instead of the system's, PEM */
  readonly ca?: string;
};

export type HttpCall = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** milliseconds from now to the last byte of the answer */
  readonly totalMs: number;
  /** a longer body is `unknown` */
  readonly maxBytes: number;
  /** connections to take from and give back to; null: one of its own, closed afterwards */
  readonly agent: Agent | null;
  readonly network?: ZoomNetwork | undefined;
  readonly signal?: AbortSignal | undefined;
};

function connectTo(url: URL, network: ZoomNetwork | undefined): Record<string, unknown> {
  if (!network) return {};
  const secure = url.protocol === 'https:';
  const to = network.route?.(url.hostname, Number(url.port || (secure ? 443 : 80)));
  return {
    ...(to ? { hostname: to.host, port: to.port, servername: url.hostname } : {}),
    ...(network.ca === undefined ? {} : { ca: network.ca }),
  };
}

const codeOf = (error: unknown): string => {
  const { code, name } = error as NodeJS.ErrnoException;
  return code ?? name ?? 'error';
};

/**
 * One HTTP request and nothing else: no redirect, no retry, no decoding. The request is written only once the
 * connection (with TLS: the handshake) stands; until then every failure is `not_sent`. A process that was paused
 * reads the answer that came meanwhile, and writes nothing once its time is over. Never rejects.
 */
export function sendOnce(call: HttpCall): Promise<HttpOutcome> {
  const secure = call.url.protocol === 'https:';
  return new Promise<HttpOutcome>((resolve) => {
    let written = false;
    let answered = false;
    let settled = false;
    let over = false;
    // The timer's clock may stand still while a machine is suspended; this one is read before the request is written.
    const startedAtMs = Date.now();
    const isOver = (): boolean => over || Date.now() - startedAtMs > call.totalMs;
    const settle = (outcome: HttpOutcome): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', onAbort);
      // A whole answer leaves the socket to its agent; everything else must not be used again.
      if (outcome.kind !== 'answer') request?.destroy();
      resolve(outcome);
    };
    const fail = (detail: string): void =>
      settle(
        written
          ? { kind: 'unknown', detail, beforeAnswer: !answered, reusedSocket: request?.reusedSocket ?? false }
          : { kind: 'not_sent', detail },
      );
    const onAbort = (): void => fail('aborted');
    const timer = setTimeout(() => {
      over = true;
      // After a pause timers come first: what the sockets hold by now is read before the answer counts as lost.
      setImmediate(() => fail(`no whole answer within ${call.totalMs} ms`));
    }, call.totalMs);
    const request = open();

    function open(): ReturnType<typeof httpRequest> | undefined {
      if (call.signal?.aborted) {
        queueMicrotask(onAbort);
        return undefined;
      }
      try {
        return (secure ? httpsRequest : httpRequest)({
          protocol: call.url.protocol,
          hostname: call.url.hostname.replace(/^\[|\]$/g, ''),
          port: call.url.port,
          path: `${call.url.pathname}${call.url.search}`,
          method: call.method,
          headers: { ...call.headers, Host: call.url.host },
          agent: call.agent ?? false,
          ...connectTo(call.url, call.network),
        });
      } catch (error) {
        // A header that cannot be sent, e.g. a line break in a configured secret.
        queueMicrotask(() => fail(codeOf(error)));
        return undefined;
      }
    }

    if (!request) return;
    call.signal?.addEventListener('abort', onAbort);
    request.on('error', (error) => fail(codeOf(error)));
    request.on('close', () => fail('connection closed without an answer'));
    request.on('socket', (socket) => {
      const write = (): void => {
        if (isOver()) fail('paused until its time was over');
        if (settled) return;
        written = true;
        request.end(call.body ?? undefined);
      };
      if (request.reusedSocket) write();
      else socket.once(secure ? 'secureConnect' : 'connect', write);
    });
    request.on('response', (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > call.maxBytes) fail(`answer longer than ${call.maxBytes} bytes`);
        else chunks.push(chunk);
      });
      response.on('error', (error) => fail(`answer cut off: ${codeOf(error)}`));
      response.on('end', () => {
        if (!response.complete) return fail('answer cut off');
        settle({
          kind: 'answer',
          answer: { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) },
        });
      });
    });
  });
}
