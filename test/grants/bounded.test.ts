import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { fileOne, playGrants, soon } from './setting.ts';

const database = useDatabase();

test('a connection that says nothing when the lease is taken holds the refreshes of a grant for its time only', async () => {
  const { grantId } = await fileOne(database.db);
  let isSilent = true;
  const silent = interceptTransactions(database.db, { before: () => (isSilent ? new Promise(() => {}) : undefined) });
  const { grants, zoom, events } = playGrants(silent, { times: { databaseMs: 60 } });
  const refused = { kind: 'temporarily_unavailable', reason: 'patience_over' };
  expect(await grants.accessToken(grantId, { patienceMs: 20 })).toEqual(refused);
  await soon(() => events).toContainEqual(expect.objectContaining({ type: 'database_away', holdingPair: false }));
  isSilent = false;
  expect((await grants.accessToken(grantId)).kind).toBe('token');
  expect(zoom.sent).toHaveLength(1);
});
