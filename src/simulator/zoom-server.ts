import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Answer } from './answers.ts';
import { faultyAnswer } from './fault-answers.ts';
import type { Fault } from './faults.ts';
import type { LedgerEntry } from './ledger.ts';
import { createOperations } from './operations.ts';
import { isRightHost, judgeUrl, noteCaller, readBody, type ZoomRequest } from './request.ts';
import { matchRoute, nowhere } from './routes.ts';
import { skewMs } from './simulated-clock.ts';
import type { ZoomState } from './zoom-state.ts';

export type Tls = { readonly key: string; readonly cert: string };

/** Values in a query may be secrets: the ledger keeps names only. */
const pathOf = (url: URL): string => {
  const names = [...url.searchParams.keys()];
  return names.length === 0 ? url.pathname : `${url.pathname}?${names.map((name) => `${name}=…`).join('&')}`;
};

function write(state: ZoomState, response: ServerResponse, answer: Answer, truncated: boolean): void {
  const body = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    Date: new Date(state.clock.nowMs() + skewMs[state.toggles().clock_skew]).toUTCString(),
    ...(answer.contentType === '' ? {} : { 'Content-Type': answer.contentType }),
    ...(answer.status === 204 ? {} : { 'Content-Length': body.length }),
    ...answer.headers,
  });
  if (!truncated) {
    response.end(body);
    return;
  }
  // Half of what was announced, and then the end.
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}

/** What Zoom itself answers says how much of the account's limits is left. */
const withLimits = ({ limitHeaders }: ZoomRequest, answer: Answer): Answer =>
  limitHeaders ? { ...answer, headers: { ...limitHeaders, ...answer.headers } } : answer;

function cut(response: ServerResponse): void {
  try {
    response.socket?.resetAndDestroy();
  } catch {
    // TLS sockets cannot send a reset.
    response.socket?.destroy();
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());

/** The port that plays Zoom: reads a request, judges it, lets the endpoint act, and does what faults ask for. */
export function createZoomServer(state: ZoomState, tls?: Tls): Server {
  const operations = createOperations();
  const connections = new WeakMap<Socket, number>();
  let connectionsMade = 0;

  async function answer(
    request: ZoomRequest,
    response: ServerResponse,
    matched: ReturnType<typeof matchRoute>,
  ): Promise<void> {
    const { entry } = request;
    const busy = operations.begin(request, state.toggles().simultaneous_operations);
    const act = (): Answer => busy ?? matched.handle(state, request);
    const fault = state.faults.take(matched.endpoint, entry.clientId);
    entry.fault = fault?.kind ?? null;
    const actsFirst = !fault || (fault.when ?? (fault.kind === 'truncate' ? 'after' : 'before')) === 'after';
    const acted = actsFirst ? act() : undefined;
    if (fault && !(await disturb(fault, response, entry))) return;
    const final = (fault && faultyAnswer(state, fault)) ?? withLimits(request, acted ?? act());
    entry.status = final.status;
    entry.code ??= codeOf(final);
    if (response.destroyed || response.socket?.destroyed) {
      state.ledger.close(entry, 'client_gone');
    } else if (fault?.kind === 'truncate') {
      write(state, response, final, true);
      state.ledger.close(entry, 'truncated');
    } else {
      response.on('finish', () => state.ledger.close(entry, 'answered'));
      write(state, response, final, false);
    }
  }

  /** False: there will be no answer. */
  async function disturb(fault: Fault, response: ServerResponse, entry: LedgerEntry): Promise<boolean> {
    switch (fault.kind) {
      case 'latency':
        await sleep(fault.ms ?? 0);
        return true;
      case 'hold':
        await fault.released;
        return true;
      case 'blackhole':
        return false;
      case 'reset':
        state.ledger.close(entry, 'reset');
        cut(response);
        return false;
      default:
        return true;
    }
  }

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', state.baseUrl);
    const body = await readBody(message);
    const rightHost = isRightHost(message.headers.host ?? '', url.pathname);
    const matched = rightHost ? matchRoute(message.method ?? '', url.pathname, body) : nowhere('wrong_host');
    const isReused = connections.has(message.socket);
    if (!isReused) {
      connectionsMade += 1;
      connections.set(message.socket, connectionsMade);
    }
    const entry = state.ledger.open({
      connection: connections.get(message.socket) ?? connectionsMade,
      method: message.method ?? '',
      endpoint: matched.endpoint,
      path: pathOf(url),
      clockMs: state.clock.nowMs(),
    });
    const request: ZoomRequest = {
      method: message.method ?? '',
      url,
      body,
      contentType: message.headers['content-type'] ?? '',
      authorization: message.headers.authorization ?? '',
      entry,
    };
    // Whoever hangs up while Zoom is still at it, is gone from then on.
    response.on('close', () => state.ledger.close(entry, 'client_gone'));
    judgeUrl(request);
    noteCaller(state, request);
    // Token and revoke requests have a connection each (lifecycle §3, step 4).
    if (isReused && /^oauth\.(exchange|refresh|revoke)$/.test(matched.endpoint))
      entry.offences.push('reused_connection');
    try {
      await answer(request, response, matched);
    } catch (error) {
      state.ledger.close(entry, 'reset');
      response.destroy(error as Error);
    }
  }

  const onRequest = (message: IncomingMessage, response: ServerResponse): void => {
    // A caller that hangs up while it sends is no call.
    serve(message, response).catch(() => response.destroy());
  };
  return tls ? createTlsServer(tls, onRequest) : createServer(onRequest);
}

function codeOf(answer: Answer): string | null {
  // Pages of users are long, and say nothing of the kind.
  if (answer.status < 400 && !answer.body.includes('"message"')) return null;
  try {
    const said = JSON.parse(answer.body) as Record<string, unknown>;
    const code = answer.status >= 400 || 'message' in said ? (said['code'] ?? said['error']) : undefined;
    return code === undefined ? null : String(code);
  } catch {
    return null;
  }
}
