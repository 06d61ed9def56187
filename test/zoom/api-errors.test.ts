import { describe, expect, test } from 'vitest';
import { type CallSubject, classifyApiAnswer, type ZoomFailure } from '../../src/zoom/api-errors.ts';

const nowMs = Date.parse('2026-03-01T18:00:00Z');
const untilMidnightMs = 6 * 3_600_000;
const classify = (status: number, body: unknown, subject: CallSubject = 'user', headers: Record<string, string> = {}) =>
  classifyApiAnswer(
    { status, headers, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) },
    subject,
    nowMs,
  );

describe('what an answer is evidence of', () => {
  const cases: [number, unknown, CallSubject, ZoomFailure['kind'] | null][] = [
    [200, { id: 'u', type: 2 }, 'user', null],
    [201, { id: 81234567890 }, 'host', null],
    [204, '', 'meeting', null],
    [
      200,
      { code: 200, message: 'You do not have the permission to access this information.' },
      'role',
      'missing_permission',
    ],
    [200, { code: 200, message: 'Only available for paid accounts.' }, 'role', 'unexpected'],
    [200, { code: 124, message: 'Invalid access token.' }, 'user', 'token'],
    [200, '<html>maintenance</html>', 'user', 'unexpected'],
    [200, '{"id":"u', 'user', 'unexpected'],
    [400, { code: 124, message: 'Invalid access token.' }, 'user', 'token'],
    [401, { code: 124, message: 'Access token is expired.' }, 'user', 'token'],
    [401, { code: 124, message: 'Etwas anderes' }, 'user', 'token'],
    [401, { message: 'Invalid access token.' }, 'user', 'token'],
    [401, '', 'user', 'unexpected'],
    [
      400,
      { code: 4711, message: 'Invalid access token, does not contain scopes:[user:read:list_users:admin].' },
      'list',
      'missing_scope',
    ],
    [
      401,
      { code: 4700, message: 'Invalid access token, does not contain scopes:[user:read:admin].' },
      'list',
      'missing_scope',
    ],
    [400, { code: 4711, message: 'changed text' }, 'list', 'missing_scope'],
    [401, { code: 4700, message: 'Token cannot be empty.' }, 'list', 'token'],
    [400, { code: 300, message: 'The next page token is invalid or expired.' }, 'list', 'page_token'],
    [400, { code: 300, message: 'changed text' }, 'list', 'page_token'],
    [400, { code: 300, message: 'Validation Failed.' }, 'host', 'unexpected'],
    [404, { code: 1001, message: 'User does not exist: x.' }, 'user', 'not_found'],
    [404, { code: 1001, message: 'changed text' }, 'host', 'cannot_host'],
    [400, { code: 1010, message: 'User does not belong to this account.' }, 'host', 'cannot_host'],
    [400, { code: 1010, message: 'User does not belong to this account.' }, 'user', 'not_found'],
    [400, { code: 1120, message: 'changed text' }, 'host', 'cannot_host'],
    [400, { code: 1120, message: 'A invitation is pending.' }, 'user', 'cannot_host'],
    [404, { code: 3001, message: 'Meeting does not exist: 1.' }, 'meeting', 'not_found'],
    [404, { message: 'nothing here' }, 'meeting', 'not_found'],
    [404, '<html>Not Found</html>', 'meeting', 'unexpected'],
    [403, { code: 403, message: 'Access denied.' }, 'list', 'missing_permission'],
    [403, '<html>Forbidden</html>', 'list', 'unexpected'],
    [400, { code: 200, message: 'No permission.' }, 'list', 'missing_permission'],
    [400, { code: 4717, message: 'The app has been disabled.' }, 'user', 'application'],
    [403, { code: 403, message: 'This app is disabled.' }, 'user', 'application'],
    [500, { code: 124, message: 'Invalid access token.' }, 'user', 'server'],
    [503, '<html></html>', 'user', 'server'],
    [408, '', 'user', 'server'],
    [302, '', 'user', 'unexpected'],
    [307, { code: 124, message: 'Invalid access token.' }, 'user', 'unexpected'],
    [400, { code: 9999, message: 'something new' }, 'user', 'unexpected'],
  ];
  test.each(cases)('%d %j for a %s: %s', (status, body, subject, kind) => {
    expect(classify(status, body, subject)?.kind ?? null).toBe(kind);
  });

  test('the scopes that are missing', () => {
    const message = 'Invalid access token, does not contain scopes:[user:read:user:admin, user:read:admin].';
    expect(classify(400, { code: 4711, message })).toMatchObject({
      scopes: ['user:read:user:admin', 'user:read:admin'],
      code: 4711,
      status: 400,
    });
  });
});

describe('429', () => {
  const second = 'You have reached the maximum per-second rate limit for this API.';
  const daily = 'You have reached the maximum daily rate limit for this API.';
  const host =
    'You have exceeded the daily rate limit (100) of Meeting Create/Update API requests permitted for this particular user.';
  test.each([
    ['per second, nothing said', second, {}, 'rate_limited', 1_000],
    ['daily, nothing said: 00:00 UTC', daily, {}, 'rate_limited', untilMidnightMs],
    ['daily by header alone', 'changed', { 'x-ratelimit-type': 'Daily-limit' }, 'rate_limited', untilMidnightMs],
    ['seconds', second, { 'retry-after': '3' }, 'rate_limited', 3_000],
    ['HTTP date', daily, { 'retry-after': 'Sun, 01 Mar 2026 18:01:00 GMT' }, 'rate_limited', 60_000],
    ['ISO date', daily, { 'retry-after': '2026-03-01T18:00:30Z' }, 'rate_limited', 30_000],
    [
      'ISO date by a clock that is behind',
      daily,
      { 'retry-after': '2026-03-01T17:55:30Z', date: 'Sun, 01 Mar 2026 17:55:00 GMT' },
      'rate_limited',
      30_000,
    ],
    ['unreadable', second, { 'retry-after': 'later' }, 'rate_limited', 1_000],
    ['the limit of one host', host, {}, 'host_daily_limit', untilMidnightMs],
    [
      'the limit of one host by a clock that is ahead',
      host,
      { date: 'Sun, 01 Mar 2026 23:59:00 GMT' },
      'host_daily_limit',
      60_000,
    ],
    ['daily by a clock before 1970', daily, { date: 'Wed, 31 Dec 1969 23:00:00 GMT' }, 'rate_limited', 3_600_000],
  ])('%s', (_name, message, headers, kind, retryAfterMs) => {
    expect(classify(429, { code: 429, message }, 'host', headers)).toMatchObject({
      kind,
      retryAfterMs,
      retryAtMs: nowMs + retryAfterMs,
    });
  });

  test('HTML from something in between, and a 429 inside a 200', () => {
    expect(classify(429, '<html>slow down</html>')).toMatchObject({ kind: 'rate_limited', retryAfterMs: 1_000 });
    expect(classify(200, { code: 429, message: second })).toMatchObject({ kind: 'rate_limited' });
  });

  test('a 5xx may say when to come back', () => {
    expect(classify(503, '', 'user', { 'retry-after': '120' })).toMatchObject({
      kind: 'server',
      retryAfterMs: 120_000,
    });
  });
});

test('no text of an answer carries a token into logs', () => {
  expect(
    JSON.stringify(classify(400, { code: 1, message: 'bad Bearer abcdefghijkl and eyJabcdefg.abcdefghij.klmnop' })),
  ).not.toMatch(/abcdefghijkl|eyJ/);
});
