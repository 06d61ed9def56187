import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createSteward, StewardRequestError } from '../../src/client/index.ts';
import { freePort } from '../../src/embedded/free-port.ts';

const db = { query: () => Promise.resolve({ rows: [] }) };
const meeting = {
  organizationId: 'o',
  memberId: 'm',
  topic: 'Introduction',
  startsAt: '2027-01-01T10:00:00Z',
  durationMinutes: 30,
};

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function listen(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failure = async (promise: Promise<unknown>): Promise<StewardRequestError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StewardRequestError);
  return error as StewardRequestError;
};

test('what is not configured rejects, as every other failure does, and throws nothing at the call', async () => {
  const by = { organizationId: 'o', memberId: 'm' };
  const bare = createSteward({ db });
  const withoutSecret = createSteward({ db, url: 'http://127.0.0.1:9', serviceKey: 'zsk_x' });
  const calls = [bare.preview({ organizationId: 'o' }), bare.meetings.create(meeting), withoutSecret.restore({ by })];
  const results = await Promise.allSettled(calls);
  expect(results.map((result) => result.status === 'rejected' && String(result.reason))).toEqual([
    expect.stringContaining('expected url and serviceKey'),
    expect.stringContaining('expected url and serviceKey'),
    expect.stringContaining('needs claimSecret'),
  ]);
});

test('an answer that stops half-way is a refusal like any other', async () => {
  const url = await listen((_request, response) => void response.writeHead(200).write('{"state":'));
  const error = await failure(
    createSteward({ db, url, serviceKey: 'zsk_x', timeoutMs: 200 }).connection({ organizationId: 'o' }),
  );
  expect(error).toMatchObject({ status: 0, code: 'unreachable', retryable: true });
});

test('a meeting that may have been made is not to be tried again blindly; one that was never asked for is', async () => {
  const silent = await listen(() => {});
  const options = { db, serviceKey: 'zsk_x', timeoutMs: 200 };
  const unknown = await failure(createSteward({ ...options, url: silent }).meetings.create(meeting));
  expect(unknown).toMatchObject({ code: 'unreachable', retryable: false });
  expect(unknown.message).toContain('may have been made');
  expect(unknown.details['idempotencyKey']).toMatch(/^[0-9a-f-]{36}$/);
  // Repeating this one asks with the same key, so that no second meeting can come of it.
  const named = { ...meeting, idempotencyKey: 'booking-1' };
  const repeatable = await failure(createSteward({ ...options, url: silent }).meetings.create(named));
  expect(repeatable).toMatchObject({ code: 'unreachable', retryable: true, details: { idempotencyKey: 'booking-1' } });
  const nobody = `http://127.0.0.1:${await freePort()}`;
  expect(await failure(createSteward({ ...options, url: nobody }).meetings.create(meeting))).toMatchObject({
    code: 'unreachable',
    retryable: true,
  });
});

test('a server behind a path is called there', async () => {
  const paths: (string | undefined)[] = [];
  const url = await listen((request, response) => {
    paths.push(request.url);
    response.end('{"meetingRef":"r"}');
  });
  await createSteward({ db, url: `${url}/zoom/`, serviceKey: 'zsk_x' }).meetings.delete({ meetingRef: 'r' });
  expect(paths).toEqual(['/zoom/v1/meetings/r']);
});
