import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { fileOne, grantRow, outcomes, playGrants, soon } from './setting.ts';

const database = useDatabase();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'steward-journal-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Grants of a process whose database goes away when Zoom has answered. */
async function playOutage(name: string) {
  const { grantId, family } = await fileOne(database.db);
  const journalFile = join(folder, name, 'pairs');
  let away = false;
  const troubled = interceptTransactions(database.db, {
    before: () => {
      if (away) throw new Error('the database is away');
    },
  });
  const dying = playGrants(troubled, {
    journalFile,
    onCrashPoint: (point) => {
      if (point === 'answered') away = true;
    },
  });
  const caller = dying.grants.accessToken(grantId);
  const files = () => readdir(join(folder, name)).catch(() => []);
  await soon(async () => (await files()).filter((file) => !file.endsWith('.part')).length).toBe(1);
  const comesBack = async () => {
    away = false;
    await dying.grants.settle();
    return await caller;
  };
  return { grantId, family, journalFile, files, dying, comesBack };
}

test('a pair that the database cannot take is stored by the next process, whatever becomes of the first', async () => {
  const { grantId, family, journalFile, files, dying, comesBack } = await playOutage('replayed');
  const text = await readFile(join(folder, 'replayed', (await files())[0] as string), 'utf8');
  expect(text).not.toContain(`refresh-${family}-1`);
  expect(text).not.toContain(`access-${family}-1`);
  const next = playGrants(database.db, { journalFile }, dying.zoom);
  expect(await next.grants.replayJournal()).toEqual({ committed: 1, stale: 0, unreadable: 0 });
  expect(await files()).toEqual([]);
  expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living', version: 2 });
  expect(await outcomes(database.db, grantId)).toEqual(['rotated']);
  const got = await next.grants.accessToken(grantId);
  expect(got.kind === 'token' && got.token.reveal()).toBe(`access-${family}-1`);
  // The first one was not dead after all: its own commit finds it done.
  expect((await comesBack()).kind).toBe('token');
  expect(await grantRow(database.db, grantId)).toMatchObject({ version: 2 });
  expect(dying.zoom.sent).toHaveLength(1);
});

test('after the database is back the process stores it itself, and nothing is left on disk', async () => {
  const { grantId, files, comesBack } = await playOutage('back');
  expect((await comesBack()).kind).toBe('token');
  expect(await files()).toEqual([]);
  expect(await grantRow(database.db, grantId)).toMatchObject({ version: 2 });
});

test('an entry that a newer consent overtook changes nothing; one that does not open stays on disk', async () => {
  const { grantId, journalFile, files, dying, comesBack } = await playOutage('stale');
  const name = (await files())[0] as string;
  const text = await readFile(join(folder, 'stale', name), 'utf8');
  await comesBack();
  const before = await grantRow(database.db, grantId);
  await writeFile(join(folder, 'stale', name), text);
  const other = name.replace(/[0-9a-f]{8}-/, '00000000-');
  await writeFile(join(folder, 'stale', other), '{}');
  const next = playGrants(database.db, { journalFile }, dying.zoom);
  expect(await next.grants.replayJournal()).toEqual({ committed: 0, stale: 1, unreadable: 1 });
  expect(await grantRow(database.db, grantId)).toEqual(before);
  expect(await files()).toEqual([other]);
});
