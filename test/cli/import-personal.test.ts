import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { insertOrganization, type TestOrganization } from '../connections/organization.ts';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

const database = useDatabase();
const folder = mkdtempSync(join(tmpdir(), 'steward-import-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ring = randomBytes(32).toString('base64');
const clientId = 'personal_app';
let organization: TestOrganization;
beforeEach(async () => {
  for (const table of ['personal_connections', 'grants', 'outbox', 'audit_log'])
    await sql`delete from ${sql.table(`steward.${table}`)}`.execute(database.db);
  organization = await insertOrganization(database.db, { users: 4 });
});

type Line = Record<string, unknown>;
const token = (label: string) => `eyJ-${label}-canary`;
const line = (n: number, more: Line = {}): Line => ({
  memberId: organization.people[n]?.id,
  zoomAccountId: 'acc',
  zoomUserId: `zu_${n}`,
  refreshToken: token(`refresh-${n}`),
  ...more,
});

async function run(lines: readonly (Line | string)[], ...flags: string[]) {
  const path = join(folder, `${randomUUID()}.ndjson`);
  writeFileSync(path, lines.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n'));
  const env = {
    DATABASE_URL: database.url,
    STEWARD_KEYS: `k:${ring}`,
    ZOOM_ADMIN_CLIENT_ID: 'admin_app',
    ZOOM_PERSONAL_CLIENT_ID: clientId,
  };
  const played = await playCli(['import', 'personal', path, '--json', ...flags], { env });
  // Whatever was wrong with a line: nothing of it is said.
  expect(played.out + played.err).not.toMatch(/canary/);
  return { ...played, answer: played.out === '' ? null : (JSON.parse(played.out) as Record<string, unknown>) };
}
const apply = ['--apply', '--refresher-stopped', '--reason', 'ticket 7', '--as', 'jo'];
const grants = () => database.db.selectFrom('steward.grants').selectAll().orderBy('zoom_user_id').execute();
const states = async () =>
  (await database.db.selectFrom('steward.personal_connections').select('state').execute()).map((row) => row.state);

test('a preview counts and changes nothing; applied, pairs are sealed, members served, and each is tried once', async () => {
  const lines = [line(0), line(1, { accessToken: token('access-1'), accessExpiresAt: '2999-01-01T00:00:00Z' })];
  const preview = await run(lines, '--preview');
  expect([preview.code, preview.answer]).toMatchObject([0, { applied: false, taken: 2, refused: 0 }]);
  expect([await grants(), await states()]).toEqual([[], []]);
  expect(await run(lines, ...apply)).toMatchObject({ code: 0, answer: { applied: true, taken: 2 } });
  const [first, second] = await grants();
  const vault = createVault({ keys: [{ id: 'k', key: new Secret(ring) }], activeKeyId: 'k' });
  const place = { table: 'grants', column: 'sealed_refresh', id: first!.id, clientId, version: 1 } as const;
  const opened = vault.open(first!.sealed_refresh as string, place);
  expect(opened.ok && opened.secret.reveal()).toBe(token('refresh-0'));
  // Without an access token the first call refreshes; with one, within an hour.
  const { rows } = await sql<{ left: number }>`
    select extract(epoch from access_expires_at - steward.now())::float8 as left from steward.grants order by zoom_user_id`.execute(
    database.db,
  );
  expect(rows[0]!.left).toBeLessThanOrEqual(0);
  expect(rows[1]!.left).toBeGreaterThan(3_500);
  expect([first!.client_kind, second!.state, await states()]).toEqual(['personal', 'living', ['active', 'active']]);
  const owed = await database.db
    .selectFrom('steward.outbox')
    .select('payload')
    .where('job', '=', 'verify-admin-role')
    .execute();
  expect(owed.map((row) => row.payload)).toEqual(
    expect.arrayContaining([
      { grantId: first!.id, probe: true },
      { grantId: second!.id, probe: true },
    ]),
  );
  const { rows: dump } = await sql<{ text: string }>`
    select (select string_agg(t::text, '') from steward.audit_log t) || (select string_agg(t::text, '') from steward.outbox t)
           || (select string_agg(t::text, '') from steward.events t) as text`.execute(database.db);
  expect(dump[0]!.text).not.toMatch(/canary/);
});

test('run again it goes on where it was, and leaves alone what has moved on since', async () => {
  await run([line(0)], ...apply);
  await sql`update steward.grants set version = 2, sealed_refresh = 'moved-on'`.execute(database.db);
  const again = await run([line(0), line(1)], ...apply);
  expect(again).toMatchObject({ code: 0, answer: { taken: 1, doneBefore: 1 } });
  expect((await grants())[0]).toMatchObject({ version: 2, sealed_refresh: 'moved-on' });
  const rounds = await Promise.all([run([line(2)], ...apply), run([line(2)], ...apply)]);
  expect(rounds.map(({ answer }) => answer!['taken']).sort()).toEqual([0, 1]);
});

test('duplicates, strangers, and what cannot be read are left out, named by line and field and no value', async () => {
  await run([line(3)], ...apply);
  const twice = line(0, { zoomUserId: 'zu_other', refreshToken: token('second') });
  const { code, answer } = await run(
    [
      ...[
        line(0),
        twice,
        line(1, { zoomUserId: 'zu_0', refreshToken: token('stale') }),
        line(2, { zoomUserId: 'zu_0', refreshToken: token('refresh-0') }),
      ],
      ...[
        line(3, { zoomUserId: 'zu_new' }),
        line(1, { memberId: randomUUID() }),
        `{"refreshToken": "${token('broken')}`,
      ],
      ...[line(1, { refreshToken: 7, [token('field')]: 1 })],
    ],
    ...apply,
  );
  expect(code).toBe(1);
  expect(answer).toMatchObject({ taken: 1, joined: 1, doneBefore: 0, refused: 6 });
  expect(answer!['lines']).toEqual([
    { line: 2, problem: 'member_twice' },
    { line: 3, problem: 'zoom_user_twice' },
    { line: 5, problem: 'has_own' },
    { line: 6, problem: 'no_active_member' },
    { line: 7, problem: 'no JSON object' },
    { line: 8, problem: 'not as documented: refreshToken, an unknown field' },
  ]);
  expect((await grants()).map((grant) => grant.zoom_user_id)).toEqual(['zu_0', 'zu_3']);
});

test('a person whose grant has ended here must consent again; without the refresher stopped nothing is done', async () => {
  await run([line(0)], ...apply);
  await sql`update steward.grants set state = 'dead', dead_reason = 'revoked'`.execute(database.db);
  const other = await run([line(1, { zoomUserId: 'zu_0', refreshToken: token('old') })], ...apply);
  expect(other.answer).toMatchObject({ reasons: { grant_ended: 1 } });
  const early = await run([line(2)], '--apply', '--reason', 'x');
  expect([early.code, early.out]).toEqual([3, '']);
  expect(await grants()).toHaveLength(1);
});

test('a later file does not give a member the Zoom of somebody else that we hold already; the same person joins', async () => {
  await run([line(0)], ...apply);
  const foreign = await run([line(1, { zoomUserId: 'zu_0', refreshToken: token('any') })], ...apply);
  expect(foreign.answer).toMatchObject({ joined: 0, reasons: { other_person: 1 } });
  await sql`update steward_app.members set email = (select email from steward_app.members where id = ${line(0).memberId})
            where id = ${line(1).memberId}`.execute(database.db);
  const same = await run([line(1, { zoomUserId: 'zu_0', refreshToken: token('any') })], ...apply);
  expect(same.answer).toMatchObject({ joined: 1, refused: 0 });
});
