import { describe, expect, test } from 'vitest';
import { classifyRevokeAnswer, classifyTokenAnswer } from '../../src/zoom/oauth-answers.ts';

const nowMs = Date.parse('2026-03-01T12:00:00Z');
const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});
const classify = (status: number, body: unknown, headers?: Record<string, string>) =>
  classifyTokenAnswer(answer(status, body, headers), nowMs);

const full = {
  access_token: 'at',
  token_type: 'bearer',
  refresh_token: 'rt',
  expires_in: 3599,
  scope: 'user:read:admin meeting:write:admin',
  api_url: 'https://api-eu.zoom.us',
};
const without = (name: keyof typeof full) => Object.fromEntries(Object.entries(full).filter(([key]) => key !== name));

describe('success: nothing but the tokens decides', () => {
  test('whole', () => {
    const got = classify(200, full);
    expect(got).toMatchObject({
      kind: 'tokens',
      expiresInS: 3599,
      scopes: ['user:read:admin', 'meeting:write:admin'],
      apiUrl: 'https://api-eu.zoom.us',
    });
    expect(got.kind === 'tokens' && [got.accessToken.reveal(), got.refreshToken?.reveal()]).toEqual(['at', 'rt']);
    expect(JSON.stringify(got)).not.toContain('rt"');
  });

  test.each([
    ['no scope', without('scope'), { scopes: null }],
    ['scope null', { ...full, scope: null }, { scopes: null }],
    ['scope empty', { ...full, scope: ' ' }, { scopes: null }],
    ['scope with commas', { ...full, scope: 'a:b, c:d' }, { scopes: ['a:b', 'c:d'] }],
    ['scope as list', { ...full, scope: ['a:b'] }, { scopes: ['a:b'] }],
    ['no expires_in', without('expires_in'), { expiresInS: null }],
    ['expires_in null', { ...full, expires_in: null }, { expiresInS: null }],
    ['expires_in as text', { ...full, expires_in: '3600' }, { expiresInS: 3600 }],
    ['expires_in nonsense', { ...full, expires_in: 'soon' }, { expiresInS: null }],
    ['no api_url', without('api_url'), { apiUrl: null }],
    ['api_url of another type', { ...full, api_url: 7 }, { apiUrl: null }],
    ['no token_type', without('token_type'), {}],
    ['status 201', full, {}],
  ])('%s', (name, body, expected) => {
    const got = classify(name === 'status 201' ? 201 : 200, body);
    expect(got).toMatchObject({ kind: 'tokens', ...expected });
    expect(got.kind === 'tokens' && got.refreshToken?.reveal()).toBe('rt');
  });

  test.each([null, '', undefined, 5])('refresh_token %j: the access token counts', (refresh_token) => {
    expect(classify(200, { ...full, refresh_token })).toMatchObject({ kind: 'tokens', refreshToken: null });
  });

  test('a refresh token without an access token is not lost', () => {
    const got = classify(200, { ...full, access_token: null });
    expect(got).toMatchObject({ kind: 'tokens', expiresInS: 1 });
    expect(got.kind === 'tokens' && [got.accessToken.reveal(), got.refreshToken?.reveal()]).toEqual(['', 'rt']);
  });

  test.each(['', '{"access_token":"a', '<html></html>', '[]', 'null', '{}', '{"status":"ok"}', '\xff'])(
    'not readable is unknown, for Zoom may have rotated: %j',
    (body) => {
      expect(classify(200, body)).toMatchObject({ kind: 'unknown' });
    },
  );

  test('an error inside a 200 is the error', () => {
    expect(classify(200, { reason: 'Invalid Token!', error: 'invalid_grant' })).toMatchObject({ kind: 'grant' });
    expect(classify(200, { error: 'invalid_client' })).toMatchObject({ kind: 'application' });
  });
});

describe('refusals', () => {
  test.each([
    [400, { reason: 'Invalid Token!', error: 'invalid_grant' }, 'invalid_grant'],
    [400, { error: 'invalid_grant' }, 'invalid_grant'],
    [401, { reason: 'Invalid Token!', error: 'invalid_grant' }, 'invalid_grant'],
    [400, { reason: 'Invalid Token!', error: 'invalid_request' }, 'invalid_grant'],
    [400, { reason: 'Invalid Token!', error: 'invalid_grant', errorCode: 4735 }, '4735'],
    [401, { reason: 'Invalid Token! (4,741)' }, '4741'],
    [401, { code: 4738, message: 'The app has been disabled by the account admin.' }, '4738'],
    [400, { error: '4741', error_description: 'revoked' }, '4741'],
    [403, { error: 'invalid_token', error_description: 'The token has been revoked' }, 'invalid_grant'],
    [400, { reason: 'Invalid authorization code', error: 'invalid_request' }, 'invalid_grant'],
    [400, { reason: 'x', error: 'invalid_request', code: '4734' }, '4734'],
  ])('about the grant: %d %j', (status, body, code) => {
    expect(classify(status, body)).toMatchObject({ kind: 'grant', code });
  });

  test.each([
    [400, { reason: 'Invalid client_id or client_secret', error: 'invalid_client' }, 'invalid_client'],
    [401, { error: 'invalid_client' }, 'invalid_client'],
    [400, { reason: 'Invalid client_id or client_secret', error: 'invalid_request' }, 'invalid_client'],
    [400, { reason: 'The app has been disabled. (4,717)', error: 'invalid_grant' }, '4717'],
    [400, { reason: 'scopes do not match (4,711)', error: 'invalid_grant' }, '4711'],
    [400, { error: 'invalid_request', code: 4702 }, '4702'],
    [400, { reason: 'Redirect URI mismatch.', error: 'invalid_request' }, 'redirect_uri_mismatch'],
    [400, { error: 'unauthorized_client' }, 'unauthorized_client'],
    [400, { error: 'unsupported_grant_type', reason: 'unsupported grant type' }, 'unsupported_grant_type'],
    [400, { error: 'invalid_request', reason: 'Missing grant type' }, 'invalid_request'],
  ])('about the application, never about a grant: %d %j', (status, body, code) => {
    expect(classify(status, body)).toMatchObject({ kind: 'application', code });
  });

  test.each([
    [500, { reason: 'Invalid Token!', error: 'invalid_grant' }],
    [503, '<html>maintenance</html>'],
    [302, ''],
    [307, { error: 'invalid_grant' }],
    [408, { error: 'invalid_grant' }],
    [403, '<html>Forbidden</html>'],
    [401, ''],
    [400, '{"error":"invalid_gr'],
    [400, { error: 'something_new' }],
    [404, { message: 'Not Found' }],
  ])('says nothing: %d %j', (status, body) => {
    expect(classify(status, body)).toMatchObject({ kind: 'server', status, retryAfterMs: null });
  });

  test.each([
    ['7', 7_000],
    ['Sun, 01 Mar 2026 12:00:09 GMT', 9_000],
    ['2026-03-01T12:00:05Z', 5_000],
    ['2026-03-01T11:00:00Z', 0],
    ['soon', null],
    ['-5', null],
    ['999999999', 86_400_000],
  ])('429 with Retry-After %s', (said, retryAfterMs) => {
    const got = classify(429, { error: 'invalid_grant' }, { 'retry-after': said });
    expect(got).toMatchObject({ kind: 'server', status: 429, retryAfterMs });
  });

  test('dates are read by the clock of whoever wrote them', () => {
    const headers = { 'retry-after': '2026-03-01T11:55:10Z', date: 'Sun, 01 Mar 2026 11:55:00 GMT' };
    expect(classify(429, {}, headers)).toMatchObject({ retryAfterMs: 10_000 });
  });

  test('the detail repeats no token', () => {
    const got = classify(400, {
      error: 'invalid_grant',
      reason: 'bad token=eyJabcdefg.abcdefghij.klmnop and refresh_token: r-secret',
    });
    expect(JSON.stringify(got)).not.toMatch(/eyJ|r-secret/);
  });
});

describe('revoke', () => {
  test.each([
    [200, { status: 'success' }, 'revoked'],
    [200, {}, 'revoked'],
    [200, '', 'unknown'],
    [200, { reason: 'Invalid Token!', error: 'invalid_grant' }, 'grant'],
    [400, { reason: 'Invalid Token!', error: 'invalid_request' }, 'grant'],
    [400, { error: 'invalid_client' }, 'application'],
    [502, '<html>', 'server'],
  ])('%d %j: %s', (status, body, kind) => {
    expect(classifyRevokeAnswer(answer(status, body), nowMs)).toMatchObject({ kind });
  });
});
