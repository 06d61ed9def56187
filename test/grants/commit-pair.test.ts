import { expect, test } from 'vitest';
import { commitPair } from '../../src/grants/commit-pair.ts';
import { type Attempt, acquireAttempt } from '../../src/grants/refresh-attempt-repository.ts';
import { defaultRefreshTimes } from '../../src/grants/refresh-times.ts';
import { Secret } from '../../src/secret.ts';
import { useDatabase } from '../support/database.ts';
import { tokens } from './scripted-zoom.ts';
import { api, fileOne, grantRow, outcomes, playGrants, testVault } from './setting.ts';

const database = useDatabase();

async function acquire(grantId: string): Promise<Attempt> {
  const acquired = await acquireAttempt(database.db, {
    grantId,
    version: 1,
    cause: 'needed',
    holder: 'test',
    times: defaultRefreshTimes,
    probe: false,
  });
  if (!acquired.ok) throw new Error(`Expected a lease, got ${acquired.reason}`);
  return acquired.attempt;
}

test('a commit whose acknowledgement was lost is done again without harm, and not taken for a stale one', async () => {
  const { grantId } = await fileOne(database.db);
  const pair = {
    attempt: await acquire(grantId),
    tokens: tokens('new'),
    sentRefresh: new Secret('old'),
    ageMs: 0,
    api,
  };
  expect(await commitPair(database.db, testVault, pair)).toMatchObject({ kind: 'committed', version: 2 });
  expect(await commitPair(database.db, testVault, pair)).toEqual({ kind: 'already' });
  expect(await grantRow(database.db, grantId)).toMatchObject({ version: 2, lease_token: null, lease_until: null });
  const got = await playGrants(database.db).grants.accessToken(grantId);
  expect(got.kind === 'token' && got.token.reveal()).toBe('access-new');
  expect(await outcomes(database.db, grantId)).toEqual(['rotated']);
});

test('a commit that hung and its repetitions, all at once: one stores the pair, the others find it', async () => {
  const { grantId } = await fileOne(database.db);
  const pair = {
    attempt: await acquire(grantId),
    tokens: tokens('new'),
    sentRefresh: new Secret('old'),
    ageMs: 0,
    api,
  };
  const kinds = await Promise.all([1, 2, 3].map(async () => (await commitPair(database.db, testVault, pair)).kind));
  expect(kinds.sort()).toEqual(['already', 'already', 'committed']);
  expect(await grantRow(database.db, grantId)).toMatchObject({ version: 2 });
});

test('a pair that waited for the database is not thought younger than it is', async () => {
  const { grantId } = await fileOne(database.db);
  const pair = { attempt: await acquire(grantId), tokens: tokens('new'), sentRefresh: new Secret('old'), api };
  await commitPair(database.db, testVault, { ...pair, ageMs: 3590_000 });
  const { grants, zoom } = playGrants(database.db);
  zoom.script.push(() => tokens('newer'));
  const got = await grants.accessToken(grantId);
  expect(got.kind === 'token' && got.token.reveal()).toBe('access-newer');
});

test('of two that want the lease at once, one gets it; a lease goes with its version', async () => {
  const { grantId } = await fileOne(database.db);
  const tried = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(grantId)));
  expect(tried.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
  expect(await outcomes(database.db, grantId)).toEqual([null]);
});
