import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { interceptTransactions } from '../support/intercept-transactions.ts';
import { fileOne, playGrants, soon } from './setting.ts';

const database = useDatabase();

test('a connection that says nothing when the lease is taken holds the refreshes of a grant for its time only', async () => {
  const { grantId } = await fileOne(database.db);
  let isSilent = true;
  const silent = interceptTransactions(database.db, { before: () => (isSilent ? new Promise(() => {}) : undefined) });
  const { grants, zoom, events } = playGrants(silent, { times: { databaseMs: 800 } });
  const refused = { kind: 'temporarily_unavailable', reason: 'patience_over' };
  expect(await grants.accessToken(grantId, { patienceMs: 200 })).toEqual(refused);
  await soon(() => events).toContainEqual(expect.objectContaining({ type: 'database_away', holdingPair: false }));
  isSilent = false;
  expect((await grants.accessToken(grantId)).kind).toBe('token');
  expect(zoom.sent).toHaveLength(1);
});

test('a turn that the database does not answer about holds the refreshes of a client id for its time only', async () => {
  const { grantId } = await fileOne(database.db);
  const { grants, zoom } = playGrants(database.db, { times: { databaseMs: 400 }, pacedEveryMs: 1 });
  await sql`insert into steward.client_states (client_id) select client_id from steward.grants where id = ${grantId}
            on conflict do nothing`.execute(database.db);
  const release = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const holder = database
    .another(1)
    .transaction()
    .execute(async (trx) => {
      await sql`select from steward.client_states for update`.execute(trx);
      held.resolve();
      await release.promise;
    });
  await held.promise;
  try {
    expect((await grants.accessToken(grantId, { patienceMs: 5_000 })).kind).toBe('token');
    expect(zoom.sent).toHaveLength(1);
  } finally {
    release.resolve();
    await holder;
  }
});
