import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { fileGrant, findGrant } from '../../src/grants/grant-repository.ts';
import { Secret } from '../../src/secret.ts';
import { useDatabase } from '../support/database.ts';
import { tokens } from './scripted-zoom.ts';
import { adminClient, api, fileOne, grantRow, playGrants, testVault } from './setting.ts';

const database = useDatabase();

const file = (user: string, name: string, account = 'acc') =>
  database.db.transaction().execute((trx) =>
    fileGrant(trx, testVault, {
      client: adminClient,
      zoomAccountId: account,
      zoomUserId: user,
      zoomUserEmail: 'admin@example.com',
      tokens: tokens(name),
      api,
    }),
  );

describe('filing a grant', () => {
  test('the first consent of a user makes a living grant of version 1', async () => {
    const filed = await file('first', 'first-0');
    expect(filed).toMatchObject({ version: 1, previousState: null });
    expect(await findGrant(database.db, filed.grantId)).toMatchObject({
      state: 'living',
      version: 1,
      zoomUserEmail: 'admin@example.com',
    });
    const { grants } = playGrants(database.db);
    const got = await grants.accessToken(filed.grantId);
    expect(got.kind === 'token' && got.token.reveal()).toBe('access-first-0');
  });

  test('another account or user is another grant', async () => {
    const ids = await Promise.all([file('a', 'a-0'), file('b', 'b-0'), file('a', 'a-0', 'other')]);
    expect(new Set(ids.map((filed) => filed.grantId)).size).toBe(3);
  });

  test.each<[string, string]>([
    ['living', ''],
    [
      'suspect',
      `suspect_since = steward.now(), suspect_reason = 'revoked', second_look_at = steward.now() + interval '9 minutes'`,
    ],
    ['dead', `dead_reason = 'refresh_lost'`],
    ['retiring', `retire_until = steward.now() + interval '1 day'`],
    ['gone', `sealed_access = null, sealed_refresh = null, key_id = null, revoke_outcome = 'revoked'`],
  ])('a new consent replaces the pair of a %s grant at once, under the next version', async (state, also) => {
    const one = await file(`again-${state}`, `again-${state}-0`);
    await sql
      .raw(`update steward.grants set state = '${state}'${also && `, ${also}`} where id = '${one.grantId}'`)
      .execute(database.db);
    const two = await file(`again-${state}`, `again-${state}-1`);
    expect(two).toEqual({ grantId: one.grantId, version: 2, previousState: state });
    expect(await grantRow(database.db, one.grantId)).toMatchObject({
      state: 'living',
      dead_reason: null,
      suspect_since: null,
      suspect_reason: null,
      second_look_at: null,
      retire_until: null,
      revoke_outcome: null,
    });
    const { grants, zoom } = playGrants(database.db);
    const got = await grants.accessToken(one.grantId);
    expect(got.kind === 'token' && got.token.reveal()).toBe(`access-again-${state}-1`);
    expect(zoom.sent).toEqual([]);
  });

  test('two consents of one user at once: both are filed, one after the other', async () => {
    const filed = await Promise.all([1, 2, 3, 4].map((at) => file('racer', `racer-${at}`)));
    expect(new Set(filed.map((one) => one.grantId)).size).toBe(1);
    expect(filed.map((one) => one.version).sort()).toEqual([1, 2, 3, 4]);
  });

  test('no token is readable in the row', async () => {
    const { grantId } = await file('canary', 'canary-0');
    expect(JSON.stringify(await grantRow(database.db, grantId))).not.toContain('canary-0');
  });

  test('a row whose ciphertext was copied from another grant is unreadable, and not dead', async () => {
    const mine = await fileOne(database.db, { fresh: true });
    const theirs = await fileOne(database.db, { fresh: true });
    await sql`
      update steward.grants set sealed_access = t.sealed_access, sealed_refresh = t.sealed_refresh
        from steward.grants t where grants.id = ${mine.grantId} and t.id = ${theirs.grantId}`.execute(database.db);
    const { grants, events } = playGrants(database.db);
    expect(await grants.accessToken(mine.grantId)).toEqual({ kind: 'vault_unreadable' });
    expect((await grantRow(database.db, mine.grantId)).state).toBe('living');
    expect(events).toMatchObject([{ type: 'vault_unreadable', grantId: mine.grantId }]);
  });

  test('an api_url of a stranger is not followed', async () => {
    const strange = await fileOne(database.db, { tokens: { apiUrl: 'https://api.zoom.us.evil.test' } });
    const regional = await fileOne(database.db, { tokens: { apiUrl: 'https://api-eu.zoom.us' } });
    expect((await grantRow(database.db, strange.grantId)).api_base).toBe('https://api.zoom.us');
    expect((await grantRow(database.db, regional.grantId)).api_base).toBe('https://api-eu.zoom.us');
  });

  test('a secret never prints', () => {
    expect(`${new Secret('x')} ${JSON.stringify({ a: new Secret('x') })}`).not.toContain('x"');
  });
});
