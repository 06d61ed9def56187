import { Readable } from 'node:stream';
import { sql } from 'kysely';
import { beforeEach, expect, test } from 'vitest';
import { MeetingRefusedError } from '../../src/client/index.ts';
import { importPersonal } from '../../src/connections/personal/import-personal.ts';
import { createBrowser } from '../../src/demo/browser.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage({ personal: true });
const db = () => at().services.db;
const clientId = 'http_personal_app';
const member = (n: number) => ({ organizationId: at().organizationId, memberId: at().members[n] as string });

beforeEach(async () => {
  at().zoom.control.clearFaults();
  for (const table of ['personal_consents', 'personal_connections', 'events', 'outbox', 'refresh_attempts', 'grants'])
    await sql`delete from ${sql.table(`steward.${table}`)}`.execute(db());
});

/** The refresh token of a pair that somebody's consent brought, as the main app would have stored it; we forget it. */
async function pairOf(user: string): Promise<string> {
  const { connections } = at().services;
  const { url } = await (await at().client()).personal.requestConsent({ by: member(4) });
  const browser = createBrowser();
  const begun = await browser.post(url);
  const decided = at().zoom.control.consent({ authorizeUrl: begun.location ?? '', user });
  if (decided.kind !== 'redirected') throw new Error(decided.why);
  await browser.get(decided.location);
  const grant = await db().selectFrom('steward.grants').selectAll().executeTakeFirstOrThrow();
  const place = { table: 'grants', column: 'sealed_refresh', id: grant.id, clientId, version: grant.version } as const;
  const opened = connections.vault.open(grant.sealed_refresh as string, place);
  if (!opened.ok) throw new Error(opened.reason);
  for (const table of ['personal_consents', 'personal_connections', 'events', 'outbox', 'grants'])
    await sql`delete from ${sql.table(`steward.${table}`)}`.execute(db());
  return opened.secret.reveal();
}

async function imported(...lines: { n: number; zoomUserId: string; refreshToken: string }[]) {
  const { vault, endpoints } = at().services.connections;
  const texts = lines.map(({ n, ...more }) =>
    JSON.stringify({ memberId: member(n).memberId, zoomAccountId: 'acc_http', ...more }),
  );
  return importPersonal(db(), Readable.from(texts), {
    ...{ clientId, vault, api: endpoints, actor: 'operator:jo', apply: true },
  });
}
const grant = () => db().selectFrom('steward.grants').selectAll().executeTakeFirstOrThrow();
const calls = (endpoint: string) =>
  at()
    .zoom.ledger()
    .filter((call) => call.endpoint === endpoint).length;
const refusedAs = async (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: unknown) =>
      error instanceof MeetingRefusedError ? [error.code, error.details['because']] : [String(error)],
  );
const book = async (n: number) =>
  refusedAs(
    (await at().client()).meetings.create({
      ...member(n),
      ...{ topic: 'Introduction', startsAt: '2030-01-02T10:00:00Z', durationMinutes: 30 },
    }),
  );
const credentials = async (n: number) =>
  refusedAs((await at().client(['credentials:raw'])).meetingCredentials({ purpose: 'create', ...member(n) }));
const probe = async () =>
  at().services.jobs.lookAtGrant((await grant()).id, { signal: new AbortController().signal, probe: true });

test('a pair of another person is noticed before the first meeting, refused and told; nothing is revoked', async () => {
  await imported({ n: 6, zoomUserId: 'zu_6', refreshToken: await pairOf('zu_8') });
  const before = [calls('meetings.create'), calls('oauth.revoke')];
  expect(await book(6)).toEqual(['interrupted', 'import_refused']);
  expect([calls('meetings.create'), calls('oauth.revoke')]).toEqual(before);
  expect(await grant()).toMatchObject({
    ...{ state: 'dead', dead_reason: 'import_refused', sealed_access: null, sealed_refresh: null, unproven: false },
    revoke_outcome: 'not_revoked: imported for another user',
  });
  // Broken, not disconnected: their locations stay.
  expect(await (await at().client()).personal.get(member(6))).toMatchObject({ state: 'broken' });
  const events = await db().selectFrom('steward.events').select(['type', 'data']).orderBy('seq').execute();
  expect(events.at(-1)).toMatchObject({ type: 'personal.broken', data: { reason: 'import_refused' } });

  // A file that has it right is taken.
  const right = await pairOf('zu_6');
  await imported({ n: 6, zoomUserId: 'zu_6', refreshToken: right });
  expect(await book(6)).toBe('done');
});

test('a file that has it right heals what an earlier one had wrong', async () => {
  const [wrong, right] = [await pairOf('zu_8'), await pairOf('zu_6')];
  await imported({ n: 6, zoomUserId: 'zu_6', refreshToken: wrong });
  await probe();
  expect(await imported({ n: 6, zoomUserId: 'zu_6', refreshToken: right })).toMatchObject({ taken: 1, refused: 0 });
  expect(await grant()).toMatchObject({ state: 'living', unproven: true });
  expect(await book(6)).toBe('done');
});

test('a pair of the person is proven once, by the job or by the first meeting', async () => {
  await imported({ n: 6, zoomUserId: 'zu_6', refreshToken: await pairOf('zu_6') });
  const asked = calls('users.me');
  expect([await book(6), await book(6), await credentials(6)]).toEqual(['done', 'done', 'done']);
  expect([calls('users.me') - asked, (await grant()).unproven]).toEqual([1, false]);
});

test('while Zoom does not say whose it is nothing is made with it, and nothing concluded', async () => {
  await imported({ n: 6, zoomUserId: 'zu_6', refreshToken: await pairOf('zu_8') });
  at().zoom.control.addFault({ endpoint: 'users.me', kind: 'server_error', count: null });
  const made = calls('meetings.create');
  await probe();
  expect(await grant()).toMatchObject({ state: 'living', unproven: true });
  expect([await book(6), await credentials(6)]).toEqual(
    Array.from({ length: 2 }, () => ['temporarily_unavailable', 'unproven']),
  );
  at().zoom.control.clearFaults();
  // By the job this time, and raw tokens are refused as well.
  await probe();
  expect(await grant()).toMatchObject({ state: 'dead', dead_reason: 'import_refused' });
  expect(await credentials(6)).toEqual(['no_connection', undefined]);
  expect(calls('meetings.create')).toBe(made);
});

test('a consent of the person proves them; the same tokens for two people are left out', async () => {
  const refreshToken = await pairOf('zu_6');
  const { taken, lines } = await imported(
    { n: 6, zoomUserId: 'zu_6', refreshToken },
    { n: 8, zoomUserId: 'zu_8', refreshToken },
  );
  expect([taken, lines]).toEqual([1, [{ line: 2, problem: 'tokens_twice' }]]);
  expect((await grant()).unproven).toBe(true);
  const { url } = await (await at().client()).personal.requestConsent({ by: member(6) });
  const browser = createBrowser();
  const begun = await browser.post(url);
  const decided = at().zoom.control.consent({ authorizeUrl: begun.location ?? '', user: 'zu_6' });
  await browser.get(decided.kind === 'redirected' ? decided.location : '');
  expect(await grant()).toMatchObject({ state: 'living', unproven: false });
});
