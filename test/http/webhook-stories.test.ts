import { sql } from 'kysely';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { finishOrganizationDisconnect } from '../../src/connections/finish-disconnect.ts';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { webhookPath } from '../../src/http/webhook-app.ts';
import { createOwedRunner } from '../connections/run-owed.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage();
const account = 'acc_http';
const clientId = 'http_admin_app';
const minuteMs = 60_000;

const db = () => at().services.db;
const control = () => at().zoom.control;
const url = (): string => `${at().server.url}${webhookPath('admin')}`;
const connection = async () => db().selectFrom('steward.org_connections').selectAll().executeTakeFirstOrThrow();
const forgetOwed = () => sql`delete from steward.outbox`.execute(db());
const run = () => createOwedRunner(at().services.connections)();
const owedLooks = async (): Promise<number> =>
  (await db().selectFrom('steward.outbox').select('id').where('job', '=', 'verify-admin-role').execute()).length;

beforeAll(async () => {
  await at().connectWithoutWorker();
  await run();
  control().subscribe({ clientId, url: url(), secret: at().webhookSecrets[0] as string });
});
beforeEach(async () => {
  control().setToggles({ webhook_delivery: 'once', webhook_body: 'escaped', webhook_retries: 'resigned' });
  await sql`update steward.clock set offset_by = offset_by + interval '5 minutes'`.execute(db());
  await forgetOwed();
});

test('somebody who has a validation sign a text of theirs gets nothing, and changes nothing', async () => {
  const body = { event: 'app_deauthorized', payload: { account_id: account, client_id: clientId } };
  expect(await control().trySigning({ url: url(), body })).toEqual({ validation: 400, stolen: false });
  expect(await owedLooks()).toBe(0);
  const alerts = await db()
    .selectFrom('steward.audit_log')
    .select('data')
    .where('action', '=', 'webhook.signing_attempt')
    .execute();
  expect(alerts).toEqual([{ data: { app: 'admin', clientId } }]);
});

test.each([
  ['role_id', 1],
  ['role_name', 1],
  ['not_sent', 0],
] as const)('a demotion that Zoom tells as %s owes %i look', async (reading, looks) => {
  control().setToggles({ role_change_event: reading, demotion: 'fails_calls' });
  control().demote({ accountId: account, userId: 'zu_admin' });
  await control().settleWebhooks();
  expect(await owedLooks()).toBe(looks);
  await run();
  expect((await connection()).first_failed_at !== null).toBe(looks === 1);
  control().promote({ accountId: account, userId: 'zu_admin' });
  await control().settleWebhooks();
  await sql`update steward.clock set offset_by = offset_by + interval '11 minutes'`.execute(db());
  await run();
  expect(await connection()).toMatchObject({ state: 'active', first_failed_at: null });
});

describe('users that change at Zoom', () => {
  const copy = async () => {
    const { rows } = await sql<{ id: string; status: string; type: number }>`
      select user_key as id, status, user_type as type from steward.directory_users where zoom_account_id = ${account} order by user_key collate "C"`.execute(
      db(),
    );
    return rows;
  };
  const atZoom = () =>
    Array.from({ length: 40 }, (_, n) => control().user({ accountId: account, user: `zu_${n}` }))
      .concat(control().user({ accountId: account, user: 'zu_admin' }))
      .flatMap((user) => (user === null ? [] : [{ id: user.id, status: user.status, type: user.type }]))
      .sort((a, b) => (a.id < b.id ? -1 : 1));

  test.each(['once', 'doubled', 'late', 'reordered', 'some_lost'] as const)('%s: the copy follows', async (reading) => {
    control().setToggles({ webhook_delivery: reading });
    const seen = { once: 10, doubled: 12, late: 14, reordered: 16, some_lost: 18 }[reading];
    const change = (n: number, to: object) =>
      control().changeUser({ accountId: account, userId: `zu_${n}`, change: to });
    change(seen, { status: 'inactive' });
    change(seen, { type: 1 });
    change(seen, { status: 'active' });
    change(seen + 1, { status: 'inactive' });
    control().addUsers({ accountId: account, users: [{ id: `zu_${20 + seen}`, email: `late${seen}@http.example` }] });
    control().deleteUser({ accountId: account, userId: `zu_${20 + seen}` });
    control().changeSettings({ accountId: account });
    for (let minutes = 0; minutes <= 40; minutes += 10) {
      await control().settleWebhooks();
      await run();
      control().advanceClock({ ms: 10 * minuteMs });
    }
    await sql`update steward.clock set offset_by = offset_by + interval '2 minutes'`.execute(db());
    await run();
    if (reading === 'some_lost') {
      const signal = new AbortController().signal;
      await at().services.jobs.syncDirectory(account, { signal });
    }
    expect(await copy()).toEqual(atZoom());
  });
});

test('the echo of our own revocation that comes after a reconnect is taken for what it is, and changes nothing', async () => {
  control().setToggles({ revoke_reach: 'account', webhook_delivery: 'late' });
  const { id, generation, grant_id, organization_id } = await connection();
  const { name } = await db().selectFrom('steward_app.organizations').select('name').executeTakeFirstOrThrow();
  await db()
    .transaction()
    .execute((trx) =>
      requestDisconnect(trx, {
        organizationId: organization_id,
        generation,
        typedName: name,
        asker: { memberId: at().owner.memberId },
      }),
    );
  await sql`update steward.runs set state = 'done' where connection_id = ${id} and state in ('queued', 'running')`.execute(
    db(),
  );
  expect(await finishOrganizationDisconnect(db(), organization_id)).toEqual({ outcome: 'finished' });
  const { grants } = at().services.connections;
  expect(await grants.retire(grant_id as string)).toEqual({ kind: 'done', outcome: 'revoked' });
  await at().connectWithoutWorker();
  await forgetOwed();
  const before = await connection();
  expect(before.state).toBe('active');

  control().advanceClock({ ms: 41 * minuteMs });
  await control().settleWebhooks();
  const told = control()
    .webhookAttempts()
    .filter(({ event }) => event === 'app_deauthorized');
  expect(told.map(({ status }) => status)).toEqual([200]);
  expect(await owedLooks()).toBe(1);
  await run();
  await sql`update steward.clock set offset_by = offset_by + interval '16 minutes'`.execute(db());
  await run();
  expect(await connection()).toMatchObject({
    state: 'active',
    generation: before.generation,
    grant_id: before.grant_id,
  });
  const audited = await db()
    .selectFrom('steward.audit_log')
    .select('reason')
    .where('action', '=', 'connection.app_deauthorized')
    .execute();
  expect(audited).toEqual([{ reason: 'app_deauthorized: the echo of our own revocation' }]);
  expect(at().zoom.judge().findings).toEqual([]);
});
