import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { readWebhook, webhookId } from '../../src/zoom/webhook-notice.ts';
import { answerValidation, findSigningSecret } from '../../src/zoom/webhook-signature.ts';

const secrets = [new Secret('new-one'), new Secret('old-one')];
const timestamp = '1700000000';
const sign = (body: Buffer, secret = 'new-one', at = timestamp): string =>
  `v0=${createHmac('sha256', secret).update(`v0:${at}:`).update(body).digest('hex')}`;
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('a signature', () => {
  const body = Buffer.from('{ "event" : "user.updated",\n "x": "\\u0040" }');

  test('is good with any of our secrets, over the bytes as they came', () => {
    const headers = { timestamp, signature: sign(body) };
    expect(findSigningSecret(secrets, headers, body)).toBe(secrets[0]);
    expect(findSigningSecret(secrets, { timestamp, signature: sign(body, 'old-one') }, body)).toBe(secrets[1]);
    expect(findSigningSecret(secrets, headers, bytes(JSON.parse(body.toString())))).toBeNull();
  });

  test('is not good with another secret, another time, another form, or none', () => {
    const good = sign(body);
    const wrong: [unknown, unknown][] = [
      [timestamp, sign(body, 'strange')],
      ['1700000001', good],
      [timestamp, good.toUpperCase()],
      [timestamp, good.slice(3)],
      [timestamp, `${good}00`],
      [timestamp, ''],
      [timestamp, undefined],
      [timestamp, [good]],
      [undefined, good],
      ['', sign(body, 'new-one', '')],
      ['1:2', sign(body, 'new-one', '1:2')],
    ];
    for (const [at, signature] of wrong)
      expect(findSigningSecret(secrets, { timestamp: at, signature }, body), String(signature)).toBeNull();
    expect(findSigningSecret([], { timestamp, signature: good }, body)).toBeNull();
  });

  test('of whenever is good: retries come late, and what is known is known by its id', () => {
    expect(findSigningSecret(secrets, { timestamp: '1', signature: sign(body, 'new-one', '1') }, body)).not.toBeNull();
  });
});

describe('the answer to a validation', () => {
  test('is what Zoom documents', () => {
    const answer = answerValidation(secrets[0] as Secret, 'qgg8vlvZRS6UYooatFL8Aw');
    const encryptedToken = createHmac('sha256', 'new-one').update('qgg8vlvZRS6UYooatFL8Aw').digest('hex');
    expect(answer).toEqual({ plainToken: 'qgg8vlvZRS6UYooatFL8Aw', encryptedToken });
  });

  test('is never given for a text that could be signed content, nor for anything but a text', () => {
    const forged = `v0:${timestamp}:${JSON.stringify({ event: 'app_deauthorized' })}`;
    const wrong = [
      forged,
      `v0:${timestamp}:`,
      '',
      'a'.repeat(129),
      'a b',
      'abc\n',
      'é',
      '\u0000',
      null,
      7,
      ['abc'],
      {},
    ];
    for (const plainToken of wrong) expect(answerValidation(secrets[0] as Secret, plainToken)).toBeNull();
  });

  test('is no signature of anything, whatever is asked', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (before, body) => {
        const answered = answerValidation(secrets[0] as Secret, `${before}v0:${timestamp}:${body}`);
        expect(answered).toBeNull();
      }),
    );
  });
});

describe('what is read of a webhook', () => {
  const user = (event: string, object: object): unknown => ({
    event,
    event_ts: 1,
    payload: { account_id: 'acc', object },
  });

  test('of a user is the id, or the address of somebody without', () => {
    expect(readWebhook(bytes(user('user.updated', { id: 'zu', email: 'a@b.example' })))).toEqual({
      kind: 'user',
      event: 'user.updated',
      zoomAccountId: 'acc',
      zoomUserId: 'zu',
      address: null,
    });
    const pending = readWebhook(bytes(user('user.created', { email: 'a@b.example', type: 1 })));
    expect(pending).toMatchObject({ zoomUserId: null });
    expect(JSON.stringify(pending)).not.toContain('a@b');
  });

  test.each([
    ['number outside', { event_ts: 5 }, {}],
    ['text inside', {}, { event_ts: '5' }],
    ['both', { event_ts: 5 }, { event_ts: '5' }],
    ['none', {}, {}],
  ])('of app_deauthorized is the same wherever its time is: %s', (_name, outside, inside) => {
    const payload = { account_id: 'acc', user_id: 'zu', client_id: 'app', signature: 's', ...inside };
    expect(readWebhook(bytes({ event: 'app_deauthorized', ...outside, payload }))).toEqual({
      kind: 'deauthorized',
      event: 'app_deauthorized',
      zoomAccountId: 'acc',
      zoomUserId: 'zu',
      clientId: 'app',
    });
  });

  test('is nothing where an id is none, or the JSON is not what is documented', () => {
    for (const body of ['', '{', 'null', '[]', '7', '{"event":7}', '{"event":"user.updated"}'])
      expect(readWebhook(Buffer.from(body)), body).toBeNull();
    for (const id of ['', 'a@b.example', 'x\ny', 'x'.repeat(129), 7, null])
      expect(readWebhook(bytes(user('user.updated', { id }))), String(id)).toBeNull();
    expect(readWebhook(bytes({ event: 'meeting.started', payload: {} }))).toEqual({ kind: 'other' });
  });

  test('and the id is the same however the JSON is written and signed inside, and another for anything else', () => {
    const body = {
      event: 'app_deauthorized',
      event_ts: 1,
      payload: { account_id: 'acc', user_id: 'zu', signature: 'a' },
    };
    const id = webhookId('app', bytes(body));
    const turned = { payload: { signature: 'b', user_id: 'zu', account_id: 'acc' }, event_ts: 1, event: body.event };
    expect(webhookId('app', Buffer.from(JSON.stringify(turned, null, 3)))).toEqual(id);
    expect(webhookId('app', Buffer.from(JSON.stringify(body).replace('zu', '\\u007au')))).toEqual(id);
    expect(webhookId('other', bytes(body))).not.toEqual(id);
    expect(webhookId('app', bytes({ ...body, event_ts: 2 }))).not.toEqual(id);
    expect(webhookId('app', bytes({ ...body, payload: { ...body.payload, user_id: 'zv' } }))).not.toEqual(id);
  });
});
