import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { secretMark } from '../../src/simulator/secret-mark.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { type Receiver, startReceiver, type Taken } from './receiver.ts';
import { admin, connect, revoke } from './visitor.ts';

const account = 'acc_simulator';
const secret = `hook-${secretMark}`;
const minuteMs = 60_000;

const mac = (text: string): string => createHmac('sha256', secret).update(text).digest('hex');
const isSigned = ({ headers, text }: Taken): boolean =>
  headers['x-zm-signature'] === `v0=${mac(`v0:${headers['x-zm-request-timestamp']}:${text}`)}`;

/** Answers validations rightly, and whatever `others` says to everything else. */
const answering =
  (others: () => number | null) =>
  ({ json }: Taken): { status: number; text?: string } | null => {
    if (json['event'] === 'endpoint.url_validation') {
      const { plainToken } = json['payload'] as { plainToken: string };
      return { status: 200, text: JSON.stringify({ plainToken, encryptedToken: mac(plainToken) }) };
    }
    const status = others();
    return status === null ? null : { status };
  };

let zoom: Simulator;
let receiver: Receiver;
let answer: () => number | null;

beforeEach(async () => {
  answer = () => 200;
  receiver = await startReceiver(answering(() => answer()));
  zoom = await startSimulator({ profile: 'kind', seed: 3 });
  await connect(zoom);
  zoom.control.subscribe({ clientId: admin.clientId, url: receiver.url, secret });
});
afterEach(async () => {
  await zoom.stop();
  await receiver.stop();
});

const settle = () => zoom.control.settleWebhooks();
const rules = (): string[] => zoom.judge().findings.map(({ rule }) => rule);

describe('webhooks of the simulated Zoom', () => {
  test('are signed, and say what happened to users', async () => {
    const where = { accountId: account, userId: 'zu_2' };
    zoom.control.addUsers({ accountId: account, users: [{ id: 'zu_new', email: 'new@x.example', status: 'pending' }] });
    zoom.control.changeUser({ accountId: account, userId: 'zu_new', change: { status: 'active' } });
    zoom.control.changeUser({ ...where, change: { email: 'other@x.example' } });
    zoom.control.changeUser({ ...where, change: { status: 'inactive' } });
    zoom.control.changeUser({ ...where, change: { status: 'active' } });
    zoom.control.deleteUser(where);
    zoom.control.deleteUser({ accountId: account, userId: 'zu_3', disassociate: true });
    zoom.control.changeSettings({ accountId: account });
    zoom.control.uninstallApp({ clientId: admin.clientId, accountId: account });
    await settle();
    expect(receiver.events()).toEqual([
      'user.created',
      'user.invitation_accepted',
      'user.updated',
      'user.deactivated',
      'user.activated',
      'user.deleted',
      'user.disassociated',
      'account.settings_updated',
      'app_deauthorized',
    ]);
    expect(receiver.taken.every(isSigned)).toBe(true);
    const [pending] = receiver.taken.filter(({ json }) => json['event'] === 'user.created');
    expect(pending?.text).not.toContain('zu_new');
    expect(rules()).toEqual([]);
  });

  test('go only to apps that are on the account', async () => {
    zoom.control.addAccount({ id: 'acc_strange', users: [{ id: 'zu_s', email: 's@s.example' }] });
    zoom.control.changeUser({ accountId: 'acc_strange', userId: 'zu_s', change: { type: 1 } });
    zoom.control.uninstallApp({ clientId: admin.clientId, accountId: account });
    zoom.control.changeUser({ accountId: account, userId: 'zu_2', change: { type: 1 } });
    await settle();
    expect(receiver.events()).toEqual(['app_deauthorized']);
  });

  test('are sent again after 5, 20 and 60 minutes if the answer is a 5xx or none, and then no more', async () => {
    const answers: (number | null)[] = [503, null, 500, 503, 200];
    answer = () => (answers.length > 0 ? (answers.shift() ?? null) : 200);
    zoom.control.changeSettings({ accountId: account });
    await settle();
    for (const [minutes, sent] of [
      [4, 1],
      [1, 2],
      [19, 2],
      [1, 3],
      [59, 3],
      [1, 4],
      [1_000, 4],
    ] as const) {
      zoom.control.advanceClock({ ms: minutes * minuteMs });
      await settle();
      expect(receiver.events(), `${minutes} minutes later`).toHaveLength(sent);
    }
    expect(rules()).toEqual(['webhook_answered_late']);
  });

  test('are never sent again after a 4xx, and the judge says so', async () => {
    answer = () => 404;
    zoom.control.changeSettings({ accountId: account });
    await settle();
    zoom.control.advanceClock({ ms: 90 * minuteMs });
    await settle();
    expect(receiver.events()).toHaveLength(1);
    expect(rules()).toEqual(['webhook_answered_4xx']);
  });

  test('are validated at once and every 72 hours; six wrong answers end the subscription', async () => {
    await settle();
    expect(zoom.control.webhookAttempts().map(({ event, valid }) => [event, valid])).toEqual([
      ['endpoint.url_validation', true],
    ]);
    zoom.control.subscribe({ clientId: admin.clientId, url: receiver.url, secret: 'another' });
    for (let times = 0; times < 8; times += 1) {
      await settle();
      zoom.control.advanceClock({ ms: 72 * 60 * minuteMs });
    }
    zoom.control.changeSettings({ accountId: account });
    await settle();
    expect(zoom.control.webhookAttempts().filter(({ valid }) => valid === false)).toHaveLength(6);
    expect(receiver.events()).toEqual([]);
    expect(rules()).toEqual(Array(6).fill('validation_answered_wrong'));
  });

  test('tell of a revocation that took the app off the account', async () => {
    zoom.control.setToggles({ revoke_reach: 'account' });
    const pair = await connect(zoom, 'zu_owner');
    await revoke(zoom, pair.access);
    await settle();
    expect(receiver.events()).toEqual(['app_deauthorized']);
  });
});
