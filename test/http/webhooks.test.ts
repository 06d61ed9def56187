import { createHmac } from 'node:crypto';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { createGateway } from '../../src/http/gateway.ts';
import { webhookPath } from '../../src/http/webhook-app.ts';
import { Secret } from '../../src/secret.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage();
const account = 'acc_http';
let sent = 1_700_000_000;

type Send = { secret?: string | null; signature?: string; path?: string; headers?: Record<string, string> };

async function post(body: unknown, { secret, signature, path = webhookPath('admin'), headers = {} }: Send = {}) {
  const bytes = typeof body === 'string' ? body : JSON.stringify(body);
  sent += 1;
  const key = secret === undefined ? (at().webhookSecrets[0] as string) : secret;
  const signed = key && `v0=${createHmac('sha256', key).update(`v0:${sent}:${bytes}`).digest('hex')}`;
  const given = signature ?? signed;
  const response = await fetch(`${at().server.url}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-zm-request-timestamp': String(sent),
      ...(given ? { 'x-zm-signature': given } : {}),
      ...headers,
    },
    body: bytes,
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const event = (
  name: string,
  accountId = account,
  more: object = { object: { id: 'zu_2', email: 'm2@http.example' } },
) => ({
  event: name,
  event_ts: 1_700_000_000_000 + sent,
  payload: { account_id: accountId, ...more },
});
const validation = (plainToken: unknown) => ({ event: 'endpoint.url_validation', payload: { plainToken } });
const db = () => at().services.db;
const receipts = async (): Promise<number> =>
  Number((await sql<{ n: string }>`select count(*) as n from steward.webhook_receipts`.execute(db())).rows[0]?.n);
const attempts = async (): Promise<number> =>
  (await db().selectFrom('steward.audit_log').select('id').where('action', '=', 'webhook.signing_attempt').execute())
    .length;

beforeAll(async () => {
  await at().connectWithoutWorker();
});

describe('the path of an app', () => {
  test('takes what is signed with any of its secrets, as bytes', async () => {
    const [now, before] = at().webhookSecrets as [string, string];
    expect((await post(event('user.updated'), { secret: now })).status).toBe(200);
    expect((await post(event('user.updated'), { secret: before })).status).toBe(200);
    expect((await post(JSON.stringify(event('user.updated'), null, 4))).status).toBe(200);
    expect((await post(event('user.updated'), { headers: { 'content-type': 'text/weird' } })).status).toBe(200);
    expect(await receipts()).toBe(4);
  });

  test('refuses what is not signed, and stores nothing of it', async () => {
    const before = await receipts();
    for (const send of [{ secret: null }, { secret: 'strange' }, { signature: 'v0=00' }, { signature: 'v0=' }])
      expect((await post(event('user.updated'), send)).status).toBe(401);
    expect((await post('not json', { secret: null })).status).toBe(401);
    expect(await receipts()).toBe(before);
  });

  test('answers 200 to what is of nobody of ours, of no use, or not to be read, and stores nothing of it', async () => {
    const before = await receipts();
    expect((await post(event('user.updated', 'acc_strange'))).status).toBe(200);
    expect((await post(event('meeting.started'))).status).toBe(200);
    expect((await post(event('app_deauthorized', account, { client_id: 'another_app' }))).status).toBe(200);
    for (const body of ['{"event":', '[]', '{"event":"user.updated"}', '']) expect((await post(body)).status).toBe(200);
    expect(await receipts()).toBe(before);
  });

  test('without a secret answers 503: Zoom shall try again', async () => {
    expect((await post(event('user.updated'), { path: webhookPath('personal') })).status).toBe(503);
    expect((await post(validation('abc'), { path: webhookPath('personal') })).status).toBe(503);
  });

  test('answers 503 while the database is away, and takes the same webhook when it is back', async () => {
    const body = event('user.updated');
    const before = await receipts();
    await sql`alter table steward.webhook_receipts rename to away`.execute(db());
    try {
      expect((await post(body)).status).toBe(503);
    } finally {
      await sql`alter table steward.away rename to webhook_receipts`.execute(db());
    }
    expect((await post(body)).status).toBe(200);
    expect(await receipts()).toBe(before + 1);
  });

  test('answers 503 in time while it waits for a lock, and takes the webhook the next time', async () => {
    const { services } = at();
    const key = at().webhookSecrets[0] as string;
    const app = createGateway({
      deps: services.connections,
      publicUrl: at().server.url,
      claimSecret: null,
      locationAdapter: 'rows',
      meetingQuotas: { perKey: 0, perOrganization: 0 },
      log: services.log,
      telemetry: services.telemetry,
      webhooks: [{ kind: 'admin', clientId: 'http_admin_app', secrets: [new Secret(key)] }],
      webhookStoreMs: 50,
    });
    const body = JSON.stringify(event('user.updated'));
    const headers = {
      'content-type': 'application/json',
      'x-zm-request-timestamp': '1',
      'x-zm-signature': `v0=${createHmac('sha256', key).update(`v0:1:${body}`).digest('hex')}`,
    };
    const send = () => app.inject({ method: 'POST', url: webhookPath('admin'), headers, payload: body });
    await db()
      .transaction()
      .execute(async (trx) => {
        await sql`lock table steward.webhook_receipts in access exclusive mode`.execute(trx);
        expect((await send()).statusCode).toBe(503);
      });
    await app.close();
    expect((await post(body)).status).toBe(200);
  });
});

describe('a validation', () => {
  const encrypted = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex');

  test('is answered, signed or not, with the secret that signed it, else the first', async () => {
    const [now, before] = at().webhookSecrets as [string, string];
    const answers = [
      await post(validation('abc_DEF-123')),
      await post(validation('abc_DEF-123'), { secret: null }),
      await post(validation('abc_DEF-123'), { secret: before }),
    ];
    expect(answers.map(({ json }) => json)).toEqual(
      [now, now, before].map((secret) => ({
        plainToken: 'abc_DEF-123',
        encryptedToken: encrypted(secret, 'abc_DEF-123'),
      })),
    );
    const { rows } = await sql<{ at: Date }>`select validated_at as at from steward.webhook_sources`.execute(db());
    expect(rows[0]?.at).toBeInstanceOf(Date);
    expect((await post(validation('abc'), { secret: 'strange' })).status).toBe(401);
  });

  test('is answered while the database is away', async () => {
    await sql`alter table steward.webhook_sources rename to away`.execute(db());
    try {
      expect((await post(validation('abc'))).status).toBe(200);
    } finally {
      await sql`alter table steward.away rename to webhook_sources`.execute(db());
    }
  });

  test('that wants a text of somebody else signed is refused, alerts operators once, and cannot be used as a signature', async () => {
    const body = JSON.stringify(event('app_deauthorized', account, { client_id: 'http_admin_app' }));
    const forged = `v0:${sent + 2}:${body}`;
    const stolen = await post(validation(forged), { secret: null });
    expect(stolen).toEqual({ status: 400, json: { error: expect.any(String) } });
    const signature = `v0=${String(stolen.json['encryptedToken'] ?? '0'.repeat(64))}`;
    expect((await post(body, { signature })).status).toBe(401);
    for (const wrong of ['a:b', '', 'x'.repeat(129), null, {}])
      expect((await post(validation(wrong), { secret: null })).status).toBe(400);
    expect(await attempts()).toBe(1);
    const alerts = at().log.filter((line) => line.includes('webhook_signing_attempt'));
    expect(alerts).toHaveLength(1);
    expect(alerts.join()).not.toContain('app_deauthorized');
  });
});

test('nothing of what Zoom wrote is logged or stored but ids', async () => {
  const canary = 'canary.person@http.example';
  const object = { id: 'zu_2', email: canary, first_name: 'Canaryname' };
  await post(event('user.updated', account, { object, old_object: object, operator: canary }));
  await post(event('user.created', account, { object: { email: canary, first_name: 'Canaryname' } }));
  await post(`{"event":"user.updated","Canaryname":"${canary}"`);
  await post(validation(`${canary}Canaryname`), { secret: null });
  const { rows } = await sql<{ text: string }>`
    select coalesce(jsonb_agg(to_jsonb(o)), '[]')::text || coalesce((select jsonb_agg(to_jsonb(h))::text from steward.hints h), '')
           || coalesce((select jsonb_agg(to_jsonb(a))::text from steward.audit_log a where action like '%hint%' or action like 'webhook%'), '') as text
      from steward.outbox o`.execute(db());
  const everything = `${rows[0]?.text} ${at().log.join('\n')}`;
  expect(everything).toContain('zu_2');
  expect(everything).not.toMatch(/canary/i);
});

test("the simulated Zoom's webhooks are taken, validated and judged right, as cruel as they come", async () => {
  const { zoom, server, webhookSecrets } = at();
  for (const webhook_body of ['compact', 'spaced', 'escaped'])
    for (const validation_signature of ['signed', 'unsigned']) {
      zoom.control.setToggles({
        webhook_body,
        validation_signature,
        webhook_delivery: 'doubled',
        role_change_event: 'role_name',
      });
      zoom.control.subscribe({
        clientId: 'http_admin_app',
        url: `${server.url}${webhookPath('admin')}`,
        secret: webhookSecrets[0] as string,
      });
      zoom.control.changeUser({
        accountId: account,
        userId: 'zu_4',
        change: { displayName: `${webhook_body} ${validation_signature}` },
      });
      zoom.control.changeSettings({ accountId: account });
      await zoom.control.settleWebhooks();
    }
  const attemptsMade = zoom.control.webhookAttempts();
  expect(attemptsMade).toHaveLength(6 + 6 * 2 * 2);
  expect(attemptsMade.map(({ status }) => status)).toEqual(attemptsMade.map(() => 200));
  expect(zoom.judge().findings.filter(({ rule }) => /webhook|validation/.test(rule))).toEqual([]);
});
