import { Agent } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type HttpCall, sendOnce } from '../../src/zoom/send-once.ts';
import { answer, listenRaw } from './raw-server.ts';
import { createTestAuthority } from './test-authority.ts';

const authority = createTestAuthority();
const zoomUs = authority.identity('zoom.us');

const post = (port: number, changed: Partial<HttpCall> = {}): HttpCall => ({
  method: 'POST',
  url: new URL(`http://127.0.0.1:${port}/oauth/token?a=b`),
  headers: { 'Content-Type': 'text/plain' },
  body: 'the-body',
  totalMs: 2_000,
  maxBytes: 1_000,
  agent: null,
  ...changed,
});
const overTls = (port: number, changed: Partial<HttpCall> = {}): HttpCall =>
  post(port, {
    url: new URL('https://zoom.us/oauth/token'),
    network: { ca: authority.ca, route: () => ({ host: '127.0.0.1', port }) },
    ...changed,
  });

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

afterEach(() => void vi.useRealTimers());

// A reset needs the bare socket; TLS is cut without a farewell.
const reset = (socket: Socket): void =>
  void (socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy());
const silent = (): void => {};

describe('not_sent: not a byte of the request reached anybody', () => {
  test('nobody listens', async () => {
    expect(await sendOnce(post(await closedPort()))).toEqual({ kind: 'not_sent', detail: 'ECONNREFUSED' });
  });

  test('a handshake that never ends', async () => {
    // Takes the connection and the hello, says nothing.
    const server = await listenRaw(silent);
    expect(await sendOnce(overTls(server.port, { totalMs: 80 }))).toMatchObject({ kind: 'not_sent' });
    expect(server.connections()).toBe(1);
    expect(server.received()).not.toContain('the-body');
    expect(server.received()).not.toContain('/oauth/token');
  });

  test('a connection that is cut during the handshake', async () => {
    const server = await listenRaw(silent, { onConnection: (socket) => socket.once('data', () => reset(socket)) });
    expect(await sendOnce(overTls(server.port))).toEqual({ kind: 'not_sent', detail: 'ECONNRESET' });
  });

  test.each([
    ['for another host', authority.identity('zoom.example'), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['of an authority that is not trusted', createTestAuthority().identity('zoom.us'), /CERT|SIGNATURE|ISSUER|VERIFY/],
  ])('a certificate %s', async (_what, tls, code) => {
    const server = await listenRaw((socket) => socket.end(answer('{}')), { tls });
    const outcome = await sendOnce(overTls(server.port));
    expect(outcome).toMatchObject({ kind: 'not_sent', detail: expect.stringMatching(code) });
    expect(server.received()).toBe('');
  });

  test('aborted before and while connecting', async () => {
    expect(await sendOnce(post(await closedPort(), { signal: AbortSignal.abort() }))).toEqual({
      kind: 'not_sent',
      detail: 'aborted',
    });
    const server = await listenRaw(silent);
    const controller = new AbortController();
    const sent = sendOnce(overTls(server.port, { signal: controller.signal }));
    await server.asked;
    controller.abort();
    expect(await sent).toEqual({ kind: 'not_sent', detail: 'aborted' });
    expect(server.received()).not.toContain('the-body');
  });

  test('a machine that slept while connecting: its time is over, by the clock on the wall', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const server = await listenRaw((socket) => socket.end(answer('{}')));
    const sent = sendOnce(post(server.port));
    vi.setSystemTime(Date.now() + 3_000);
    expect(await sent).toEqual({ kind: 'not_sent', detail: 'paused until its time was over' });
    expect(server.received()).toBe('');
  });

  test('a header that cannot be sent', async () => {
    const server = await listenRaw(silent);
    const outcome = await sendOnce(post(server.port, { headers: { Authorization: 'Basic a\r\nb' } }));
    expect(outcome).toEqual({ kind: 'not_sent', detail: 'ERR_INVALID_CHAR' });
    expect(server.received()).toBe('');
  });
});

describe('unknown: the request reached somebody, and nothing whole came back', () => {
  const cases: Readonly<
    Record<string, { onBytes: (socket: Socket) => void; beforeAnswer: boolean; timesOut?: boolean }>
  > = {
    'reset after the request': { onBytes: reset, beforeAnswer: true },
    'closed after the request': { onBytes: (socket) => socket.end(), beforeAnswer: true },
    'no answer in time': { onBytes: silent, beforeAnswer: true, timesOut: true },
    'head without end': {
      onBytes: (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le'),
      beforeAnswer: true,
      timesOut: true,
    },
    'not HTTP': { onBytes: (socket) => socket.end('220 mail.example ESMTP\r\n'), beforeAnswer: true },
    'body shorter than announced': {
      onBytes: (socket) => socket.end(answer('{"refresh_token":"x"}').slice(0, -5)),
      beforeAnswer: false,
    },
    'body reset in the middle': {
      onBytes: (socket) => socket.write(answer('{"refresh_token":"x"}').slice(0, -5), () => reset(socket)),
      beforeAnswer: false,
    },
    'body that never ends': {
      onBytes: (socket) => socket.write(answer('{}').replace('{}', '{')),
      beforeAnswer: false,
      timesOut: true,
    },
    'chunks without the last': {
      onBytes: (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n'),
      beforeAnswer: false,
    },
    'longer than allowed': { onBytes: (socket) => socket.end(answer('x'.repeat(1_001))), beforeAnswer: false },
  };
  test.each(Object.entries(cases))('%s', async (_name, { onBytes, beforeAnswer, timesOut }) => {
    for (const tls of [false, true]) {
      const server = await listenRaw(onBytes, tls ? { tls: zoomUs } : {});
      // Only the time-out is moved: sockets take the time they take.
      if (timesOut) vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const sent = sendOnce(tls ? overTls(server.port) : post(server.port));
      await server.asked;
      if (timesOut) vi.advanceTimersByTime(2_000);
      const outcome = await sent;
      expect(outcome.kind).toBe('unknown');
      // A cut over TLS, and a time-out, may overtake what was written before.
      if (!tls && !timesOut) expect(outcome).toMatchObject({ beforeAnswer });
      expect(server.received()).toContain('the-body');
      expect(server.connections()).toBe(1);
      // Sent once, never again.
      expect(server.received().split('POST ')).toHaveLength(2);
    }
  });

  test('aborted after sending', async () => {
    const server = await listenRaw(silent);
    const controller = new AbortController();
    const sent = sendOnce(post(server.port, { signal: controller.signal }));
    await server.asked;
    controller.abort();
    expect(await sent).toMatchObject({ kind: 'unknown', detail: 'aborted' });
  });

  test('a server that takes the connection and cuts it: whatever is said agrees with what arrived', async () => {
    for (let at = 0; at < 20; at += 1) {
      const server = await listenRaw(silent, { onConnection: reset });
      const outcome = await sendOnce(post(server.port));
      // The bytes may be lost on the way; claiming `not_sent` although they arrived would be the mistake.
      expect(outcome.kind).not.toBe('answer');
      if (outcome.kind === 'not_sent') expect(server.received()).toBe('');
    }
  });
});

describe('answer', () => {
  test('status, headers and the whole body as bytes', async () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x00, 0x7d]);
    const server = await listenRaw((socket) => {
      socket.write('HTTP/1.1 418 Tea\r\nX-One: 1\r\nContent-Length: 4\r\n\r\n');
      socket.end(bytes);
    });
    const outcome = await sendOnce(post(server.port));
    expect(outcome).toMatchObject({ kind: 'answer', answer: { status: 418, headers: { 'x-one': '1' } } });
    expect(outcome.kind === 'answer' && outcome.answer.body.equals(bytes)).toBe(true);
  });

  test.each([false, true])('one that came while the process was paused over its time is read (TLS %s)', async (tls) => {
    const server = await listenRaw(
      (socket) => {
        socket.end(answer('{"refresh_token":"x"}'));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
      },
      tls ? { tls: zoomUs } : {},
    );
    const sent = sendOnce(tls ? overTls(server.port, { totalMs: 500 }) : post(server.port, { totalMs: 500 }));
    expect(await sent).toMatchObject({ kind: 'answer', answer: { status: 200 } });
  });

  test('a redirect is an answer, and nobody is asked again', async () => {
    const other = await listenRaw((socket) => socket.end(answer('{}')));
    const server = await listenRaw((socket) =>
      socket.end(`HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:${other.port}/\r\nContent-Length: 0\r\n\r\n`),
    );
    expect(await sendOnce(post(server.port))).toMatchObject({ kind: 'answer', answer: { status: 307 } });
    expect(other.connections()).toBe(0);
  });

  test('goes out once, with its length, on a connection that is closed afterwards', async () => {
    const server = await listenRaw((socket) => void socket.write(answer('{}')));
    await sendOnce(post(server.port));
    expect(server.received()).toMatch(/^POST \/oauth\/token\?a=b HTTP\/1\.1\r\n/);
    expect(server.received()).toMatch(/Connection: close/i);
    expect(server.received()).toMatch(/Content-Length: 8/i);
    expect(server.received()).toContain(`Host: 127.0.0.1:${server.port}`);
  });

  test('a kept connection that was closed meanwhile says so', async () => {
    const agent = new Agent({ keepAlive: true });
    let asked = 0;
    const server = await listenRaw((socket) => {
      asked += 1;
      if (asked === 1) socket.write(answer('{}'));
      else reset(socket);
    });
    const call = post(server.port, { method: 'GET', body: null, agent });
    expect(await sendOnce(call)).toMatchObject({ kind: 'answer' });
    expect(await sendOnce(call)).toMatchObject({ kind: 'unknown', beforeAnswer: true, reusedSocket: true });
    agent.destroy();
  });
});
