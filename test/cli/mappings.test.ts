import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { fillOrganization } from '../reconciliation/support/fill-organization.ts';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

const database = useDatabase();
const why = ['--reason', 'ticket 4711', '--as', 'jo'];
let directory: string;
let without: string[];
const key = Buffer.alloc(32, 7).toString('base64');
const vault = createVault({ keys: [{ id: 'k1', key: new Secret(key) }], activeKeyId: 'k1' });
const cli = (...line: string[]) =>
  playCli(line, { env: { DATABASE_URL: database.url, STEWARD_KEYS: `k1:${key}`, ZOOM_ADMIN_CLIENT_ID: 'admin' } });
const steward = (...line: string[]) => cli('mappings', ...line);
async function file(text: string | Uint8Array): Promise<string> {
  const path = join(directory, 'people.csv');
  await writeFile(path, text);
  return path;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mappings-'));
  await fillOrganization(database.db, 40);
  const { rows } = await sql<{ id: string }>`
    select m.id from steward_app.members m
     where not exists (select from steward.directory_users u where u.address_key = steward.address_key(m.email)) order by 1`.execute(
    database.db,
  );
  without = rows.map(({ id }) => id);
  await sql`
    insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
    select d.zoom_account_id, 'spare' || n, 'spare' || n, 'spare' || n || '@elsewhere.example', 'active', 2, now()
      from steward.directories d, generate_series(1, 2) n`.execute(database.db);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a file is previewed, refused as a whole with its lines, and imported', async () => {
  const [one, two] = without as [string, string];
  const bad = await file(`member,zoom_user\n${one},spare1@elsewhere.example\n${two},nobody\n`);
  const preview = await steward('import', 'Filled', bad, '--preview');
  expect(preview.code).toBe(1);
  expect(preview.out).toContain('Would: 1 new, 0 moved, 0 ended');
  expect(preview.out).toContain(`line 3: unknown_zoom_user: ${two} → nobody:`);
  const refused = await steward('import', 'Filled', bad, '--apply', ...why);
  expect(refused).toMatchObject({ code: 1, err: 'Nothing was changed.\n' });
  const good = await file(`member,zoom_user\n${one},spare1@elsewhere.example\n${two},spare2\n`);
  expect((await steward('import', 'Filled', good)).code).toBe(3);
  expect((await steward('import', 'Filled', good, '--apply')).code).toBe(3);
  expect((await steward('import', 'Filled', good, '--apply', ...why)).out).toContain('Done: 2 new');
  expect((await steward('import', 'Filled', good, '--preview', '--json')).out).toContain('"unchanged": 2');
  const list = await steward('list', 'Filled');
  expect(list.out).toMatch(new RegExp(`${one} +spare1 +operator:jo`));
});

test('one at a time: set, refused, ended', async () => {
  const [one, , three] = without as [string, string, string];
  const taken = await steward('set', 'Filled', three, 'spare1', ...why);
  expect(taken.code).toBe(1);
  expect(taken.err).toContain('zoom_user_taken');
  expect((await steward('set', 'Filled', one, 'none', ...why)).out).toContain('Done');
  expect((await steward('set', 'Filled', three, 'spare1', ...why)).out).toContain('Done');
  expect((await steward('set', 'Filled', three, 'spare1', ...why)).out).toContain('so already');
});

test('a file that is not there, or no text, is named', async () => {
  expect((await steward('import', 'Filled', '/nowhere.csv', '--preview')).err).toContain('Expected a CSV file');
  const latin1 = await file(new Uint8Array([109, 252, 108, 108]));
  expect((await steward('import', 'Filled', latin1, '--preview')).err).toContain('no UTF-8');
});

test('likely pairs are shown, and two domains are said to mean the same, previewed, and taken back', async () => {
  const { db } = database;
  const [, two] = without as [string, string];
  const [member] = (
    await sql<{
      key: string;
    }>`select steward.address_key(email) as key from steward_app.members where id = ${two}`.execute(db)
  ).rows;
  const [local, domain] = member!.key.split('@') as [string, string];
  await sql`update steward_app.organizations set verified_domains = ${[domain, 'other.example']}`.execute(db);
  await steward('set', 'Filled', two, 'none', ...why);
  await sql`
    insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, address_since, match)
    select m.organization_id, m.id, true, true, false, 'none', ${member!.key}, steward.now(), 'none' from steward_app.members m where m.id = ${two}
    on conflict (organization_id, member_id) do update set match = 'none', active = true, address_key = excluded.address_key, address_since = excluded.address_since`.execute(
    db,
  );
  await sql`update steward.directories set synced_at = steward.now()`.execute(db);
  await sql`
    insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
    select d.zoom_account_id, 'hidden', 'hidden', ${vault.pseudonyms(`${local}@other.example`)[0]}, 'active', 2, now() from steward.directories d`.execute(
    db,
  );
  const suggested = await steward('suggestions', 'Filled');
  expect(suggested.out).toMatch(new RegExp(`${two} +${member!.key} +hidden +${local}@other.example +active`));
  expect(suggested.err).toContain(`mappings equate`);
  const pair = ['Filled', domain, 'other.example'];
  expect((await steward('equate', ...pair)).code).toBe(3);
  expect((await steward('equate', ...pair, '--preview')).out).toContain('1 new, 0 moved, 0 ended');
  expect((await steward('equate', ...pair, '--apply', ...why)).out).toContain(`${two}: nobody → hidden`);
  expect((await steward('equate', ...pair, '--apply', ...why)).out).toContain('already');
  expect((await steward('domains', 'Filled')).out).toMatch(/other\.example +1 +operator:jo/);
  expect((await steward('list', 'Filled')).out).toContain('equal domains (operator:jo)');
  expect((await steward('suggestions', 'Filled')).out).not.toContain('hidden');
  expect((await steward('separate', ...pair, '--apply', ...why)).code).toBe(3);
  expect((await steward('separate', ...pair, '--apply', '--confirm', 'Filled', ...why)).out).toContain('1 ended');
  expect((await steward('equate', 'Filled', domain, 'gmail.com', '--preview')).err).toContain('public mail provider');
});

test('what Zoom allows an account is shown, stated with a reason, and taken back; whoever waits for a day is told', async () => {
  expect((await cli('directory', 'show', 'Filled')).out).toContain("20 a second, Pro's, until Zoom says otherwise");
  expect((await cli('directory', 'limits', 'Filled', '--daily', '100', ...why)).code).toBe(2);
  expect((await cli('directory', 'limits', 'Filled', '--medium', '1001', ...why)).code).toBe(2);
  expect((await cli('directory', 'limits', 'Filled', '--medium', '120')).code).toBe(3);
  const stated = await cli('directory', 'limits', 'Filled', '--medium', '120', '--daily', '5000', ...why);
  expect(stated.out).toMatch(/120 a second, 5000 a day, as an operator said \(operator:jo, .*: ticket 4711\)/);
  const { rows } = await sql<{ data: unknown; reason: string }>`
    select reason, data -> 'limits' as data from steward.audit_log where action = 'directory.limits'`.execute(
    database.db,
  );
  expect(rows).toEqual([{ reason: 'ticket 4711', data: { perSecond: 120, perDay: 5_000 } }]);
  await sql`update steward.directories set walk_resumes_at = steward.now() + interval '1 hour'`.execute(database.db);
  for (const line of [
    ['status', 'Filled'],
    ['directory', 'show', 'Filled'],
  ])
    expect((await cli(...line)).out).toContain("waits for Zoom's daily limit until 2");
  expect((await cli('directory', 'limits', 'Filled', '--plan', 'free', ...why)).out).toContain(
    '2 a second, 2000 a day',
  );
  expect((await cli('status', 'Filled')).out).not.toContain('waits for');
  expect((await cli('directory', 'limits', 'Filled', '--forget', ...why)).out).toContain("Pro's");
  expect((await cli('directory', 'show', 'nobody')).code).toBe(1);
});
