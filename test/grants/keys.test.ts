import { sql } from 'kysely';
import { beforeEach, expect, test } from 'vitest';
import { sealPair } from '../../src/connections/candidate-pair.ts';
import { abandonKey } from '../../src/grants/abandon-key.ts';
import { readKeyUse } from '../../src/grants/key-use.ts';
import { rotateKeys } from '../../src/grants/rotate-keys.ts';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { type Played, playCli } from '../cli/play-cli.ts';
import { useDatabase } from '../support/database.ts';
import { createGate, tokens } from './scripted-zoom.ts';
import { adminClient, fileOne, grantRow, newKey, playGrants, soon, testKey, testVault } from './setting.ts';

const database = useDatabase();
const newer = newKey('k2');
const both = createVault({ keys: [testKey, newer], activeKeyId: 'k2' });
const onlyNew = createVault({ keys: [newer], activeKeyId: 'k2' });
const { clientId } = adminClient;

beforeEach(async () => {
  await sql`truncate steward.personal_consents, steward.candidates, steward.outbox, steward.org_connections, steward.grants cascade`.execute(
    database.db,
  );
});

const ringOf = (...keys: (typeof testKey)[]): string => keys.map(({ id, key }) => `${id}:${key.reveal()}`).join(',');

const steward = (ring: string, ...line: string[]): Promise<Played> =>
  playCli(line, {
    env: { DATABASE_URL: database.url, STEWARD_KEYS: ring, ZOOM_ADMIN_CLIENT_ID: clientId },
  });
const why = ['--reason', 'yearly', '--as', 'jo'];

/** A consent that nobody was named for yet. */
async function candidate(): Promise<string> {
  const id = crypto.randomUUID();
  const sealed = sealPair({ vault: testVault, client: adminClient }, id, tokens(`candidate-${id}`));
  await sql`
    with org as (insert into steward.org_connections (id, organization_id, state) values (gen_random_uuid(), gen_random_uuid(), 'pending') returning id)
    insert into steward.candidates (id, connection_id, state, sealed_access, sealed_refresh, token_facts, expires_at, created_at)
    select ${id}, org.id, 'unidentified', ${sealed.access}, ${sealed.refresh}, '{}', steward.now() + interval '1 day', steward.now() from org`.execute(
    database.db,
  );
  return id;
}

test('rotation goes on where it was stopped, moves no version, and needs the old key no longer', async () => {
  const { db } = database;
  const filed = [];
  for (let n = 0; n < 5; n += 1) filed.push(await fileOne(db));
  const stop = new AbortController();
  const told: number[] = [];
  const first = await rotateKeys(db, both, {
    clientId,
    batch: 2,
    signal: stop.signal,
    onProgress: ({ left }) => {
      told.push(left);
      stop.abort();
    },
  });
  expect(first).toEqual({ resealed: 2, left: 3, stopped: true });
  expect(told).toEqual([3]);
  expect(await readKeyUse(db)).toEqual([
    { keyId: 'k1', grants: 3, candidates: 0, attempts: 0 },
    { keyId: 'k2', grants: 2, candidates: 0, attempts: 0 },
  ]);
  expect(await rotateKeys(db, both, { clientId, batch: 2 })).toEqual({ resealed: 3, left: 0, stopped: false });
  const { grants } = playGrants(db, { vault: onlyNew });
  for (const { grantId } of filed) {
    expect(await grantRow(db, grantId)).toMatchObject({ version: 1, key_id: 'k2' });
    expect((await grants.accessToken(grantId)).kind).toBe('token');
  }
});

test('a pair that is committed while its row is sealed anew stays', async () => {
  const { db } = database;
  const { grantId } = await fileOne(db);
  const committed = createGate();
  const written = createGate();
  const committing = db.transaction().execute(async (trx) => {
    await sql`update steward.grants set version = 2, sealed_access = 'newer', sealed_refresh = 'newer' where id = ${grantId}`.execute(
      trx,
    );
    written.open();
    await committed.opened;
  });
  await written.opened;
  const rotating = rotateKeys(db, both, { clientId });
  await soon(async () => {
    const { rows } =
      await sql`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`.execute(
        db,
      );
    return rows.length;
  }).toBe(1);
  committed.open();
  await committing;
  expect(await rotating).toMatchObject({ resealed: 0, left: 1 });
  expect(await grantRow(db, grantId)).toMatchObject({ version: 2, sealed_access: 'newer', sealed_refresh: 'newer' });
});

test('consents under way are sealed anew, except one whose refresh token is being exchanged', async () => {
  const { db } = database;
  const free = await candidate();
  const claimed = await candidate();
  await sql`update steward.candidates set token_facts = jsonb_build_object('sent', md5(sealed_refresh)) where id = ${claimed}`.execute(
    db,
  );
  expect(await rotateKeys(db, both, { clientId })).toEqual({ resealed: 1, left: 1, stopped: false });
  const { sealed_access: sealed } = await db
    .selectFrom('steward.candidates')
    .select('sealed_access')
    .where('id', '=', free)
    .executeTakeFirstOrThrow();
  const place = { table: 'candidates', column: 'sealed_access', id: free, clientId, version: 1 } as const;
  expect(onlyNew.open(sealed as string, place).ok).toBe(true);
});

test('members’ own consents are sealed anew under the personal app, pair and verifier', async () => {
  const { db } = database;
  const client = { clientId: 'personal_app' };
  const id = crypto.randomUUID();
  const pair = sealPair({ vault: testVault, client, table: 'personal_consents' }, id, tokens('personal'));
  const row = { table: 'personal_consents', id, ...client } as const;
  const verifier = { ...row, column: 'sealed_verifier', version: 0 } as const;
  await sql`
    insert into steward.personal_consents (id, organization_id, member_id, token_hash, state, client_id, sealed_verifier,
                                           sealed_access, sealed_refresh, expires_at, created_at)
    values (${id}, gen_random_uuid(), gen_random_uuid(), '\\x01', 'exchanged', ${client.clientId},
            ${testVault.seal(new Secret('verifier'), verifier)}, ${pair.access}, ${pair.refresh}, steward.now(), steward.now())`.execute(
    db,
  );
  expect(await readKeyUse(db)).toMatchObject([{ keyId: testKey.id, candidates: 1, attempts: 1 }]);
  expect(await rotateKeys(db, both, { clientId })).toEqual({ resealed: 2, left: 0, stopped: false });
  const after = await db
    .selectFrom('steward.personal_consents')
    .select(['sealed_access', 'sealed_verifier'])
    .executeTakeFirstOrThrow();
  expect(onlyNew.open(after.sealed_verifier as string, verifier).ok).toBe(true);
  expect(onlyNew.open(after.sealed_access as string, { ...row, column: 'sealed_access', version: 1 }).ok).toBe(true);
  expect(await abandonKey(db, { keyId: newer.id, actor: 'operator:jo', reason: 'lost' })).toMatchObject({
    consents: 1,
  });
});

test('what does not open is left as it is, and counted', async () => {
  const { grantId } = await fileOne(database.db);
  const before = await grantRow(database.db, grantId);
  expect(await rotateKeys(database.db, onlyNew, { clientId })).toEqual({ resealed: 0, left: 1, stopped: false });
  expect(await grantRow(database.db, grantId)).toEqual(before);
});

test('a key that is lost: its grants are dead of our own doing, others and their tokens stay', async () => {
  const { db } = database;
  const lost = await fileOne(db);
  const kept = await fileOne(db);
  await rotateKeys(db, both, { clientId });
  await sql`update steward.grants set key_id = 'k1' where id = ${lost.grantId}`.execute(db);
  const connectionId = crypto.randomUUID();
  await sql`insert into steward.org_connections (id, organization_id, state, grant_id)
            values (${connectionId}, gen_random_uuid(), 'active', ${lost.grantId})`.execute(db);
  const consent = await candidate();
  expect(await abandonKey(db, { keyId: 'k1', actor: 'operator:jo', reason: 'burnt' })).toEqual({
    dead: 1,
    deleted: 0,
    consents: 1,
  });
  expect(await grantRow(db, lost.grantId)).toMatchObject({
    state: 'dead',
    dead_reason: 'key_lost',
    sealed_access: null,
    sealed_refresh: null,
    key_id: null,
  });
  expect(await grantRow(db, kept.grantId)).toMatchObject({ state: 'living', key_id: 'k2' });
  const owed = await db.selectFrom('steward.outbox').select(['job', 'payload']).execute();
  expect(owed).toEqual([{ job: 'verify-admin-role', payload: { connectionId } }]);
  const row = await db.selectFrom('steward.candidates').selectAll().where('id', '=', consent).executeTakeFirstOrThrow();
  expect(row).toMatchObject({ sealed_access: null, sealed_refresh: null });
  expect(row.expires_at.getTime()).toBeLessThanOrEqual(Date.now());
  expect(await readKeyUse(db)).toEqual([{ keyId: 'k2', grants: 1, candidates: 0, attempts: 0 }]);
});

test('the command line: what is left, rotate, nothing left, and a lost key only with its id typed', async () => {
  const { grantId } = await fileOne(database.db);
  const ring = ringOf(newer, testKey);
  const status = await steward(ring, 'keys', 'status', '--json');
  expect(status.code).toBe(0);
  expect(JSON.parse(status.out)).toMatchObject({ active: 'k2', left: 1, missing: [] });
  const refused = await steward(ring, 'keys', 'abandon', 'k1', ...why, '--confirm', 'k1');
  expect({ code: refused.code, err: refused.err }).toMatchObject({
    code: 1,
    err: expect.stringContaining('nothing is lost'),
  });
  const lacking = await steward(ringOf(newer), 'keys', 'status');
  expect(lacking).toMatchObject({ code: 1, err: expect.stringContaining('Missing: k1') });
  expect((await steward(ring, 'keys', 'rotate', ...why)).out).toContain('Sealed anew with k2: 1 row; 0 left.');
  expect((await grantRow(database.db, grantId)).key_id).toBe('k2');
  const untyped = await steward(ringOf(testKey), 'keys', 'abandon', 'k2', ...why);
  expect(untyped).toMatchObject({ code: 3, err: expect.stringContaining('--confirm k2') });
  const abandoned = await steward(ringOf(testKey), 'keys', 'abandon', 'k2', '--confirm', 'k2', ...why);
  expect(abandoned).toMatchObject({ code: 0, out: expect.stringContaining('1 grant dead (key_lost)') });
  expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'dead', dead_reason: 'key_lost' });
});
