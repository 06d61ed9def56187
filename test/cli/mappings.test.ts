import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillOrganization } from '../reconciliation/support/fill-organization.ts';
import { useDatabase } from '../support/database.ts';
import { playCli } from './play-cli.ts';

const database = useDatabase();
const why = ['--reason', 'ticket 4711', '--as', 'jo'];
let directory: string;
let without: string[];
const steward = (...line: string[]) => playCli(['mappings', ...line], { env: { DATABASE_URL: database.url } });
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
