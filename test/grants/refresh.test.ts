import { sql } from 'kysely';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { fileGrant, listDueGrants } from '../../src/grants/grant-repository.ts';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import type { TokenAnswer } from '../../src/zoom/oauth.ts';
import { useDatabase } from '../support/database.ts';
import { createGate, tokens } from './scripted-zoom.ts';
import {
  adminClient,
  advanceClock,
  api,
  endAccessToken,
  fileOne,
  grantRow,
  newKey,
  outcomes,
  playGrants,
  soon,
  testVault,
} from './setting.ts';

const database = useDatabase();
const minute = 60_000;
const refused: TokenAnswer = { kind: 'grant', code: 'invalid_grant', detail: 'Invalid Token!' };

beforeEach(async () => {
  await sql`delete from steward.client_states`.execute(database.db);
});

/** The same database, but the caller does not hear that a transaction committed where `loses` says so. */
function loseAcknowledgement(db: Database, loses: () => boolean): Database {
  const bound = <T extends object>(target: T, key: PropertyKey): unknown => {
    const value = Reflect.get(target, key);
    return typeof value === 'function' ? value.bind(target) : value;
  };
  return new Proxy(db, {
    get: (target, key) =>
      key !== 'transaction'
        ? bound(target, key)
        : () => ({
            async execute(work: Parameters<ReturnType<Database['transaction']>['execute']>[0]) {
              const result = await target.transaction().execute(work);
              if (loses()) throw new Error('Connection terminated unexpectedly');
              return result;
            },
          }),
  });
}

const tokenOf = (got: { kind: string; token?: Secret }): string => got.token?.reveal() ?? got.kind;

describe('step 0: the hot path', () => {
  test('a token with time left is handed out without a request, a lock or an attempt', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    // A lock held by somebody else must not matter.
    await database.db.transaction().execute(async (trx) => {
      await sql`select 1 from steward.grants where id = ${grantId} for update`.execute(trx);
      expect(await grants.accessToken(grantId, { patienceMs: 0 })).toMatchObject({
        kind: 'token',
        version: 1,
        apiBase: 'https://api.zoom.us',
        scopes: ['user:read:admin', 'meeting:write:admin'],
      });
    });
    expect(zoom.sent).toEqual([]);
    expect(await outcomes(database.db, grantId)).toEqual([]);
  });

  test('less than ten minutes left: refreshed when somebody needs it', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    await advanceClock(database.db, 3000_000 - 1_000);
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-0`);
    await advanceClock(database.db, 2_000);
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-1`);
    expect(zoom.sent).toHaveLength(1);
  });

  test('a token that Zoom gives for less than what is wanted is not rotated on and on', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(
      () => tokens('short', { expiresInS: 120 }),
      () => tokens('shorter', { expiresInS: 120 }),
    );
    expect(tokenOf(await grants.accessToken(grantId))).toBe('access-short');
    expect(tokenOf(await grants.accessToken(grantId, { minLeftMs: 7200_000 }))).toBe('access-short');
    await advanceClock(database.db, 70_000);
    expect(tokenOf(await grants.accessToken(grantId))).toBe('access-shorter');
    expect(zoom.sent).toHaveLength(2);
  });

  test('an unknown id is an error, not an answer', async () => {
    const { grants } = playGrants(database.db);
    await expect(grants.accessToken('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({
      code: 'grant_unknown',
    });
  });
});

describe('one refresh at a time', () => {
  test('many callers in several processes: one request, the same token for all', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { zoom } = playGrants(database.db);
    const processes = [1, 2, 3, 4].map((at) => playGrants(database.another(), { holder: `p${at}` }, zoom).grants);
    const answer = createGate();
    zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const waiting = processes.flatMap((grants) => Array.from({ length: 8 }, () => grants.accessToken(grantId)));
    await soon(() => zoom.sent.length).toBe(1);
    answer.open();
    expect(new Set((await Promise.all(waiting)).map(tokenOf))).toEqual(new Set([`access-${family}-1`]));
    expect(zoom.sent).toHaveLength(1);
    expect(await outcomes(database.db, grantId)).toEqual(['rotated']);
  });

  test('a caller whose patience is over goes away empty; the refresh goes on', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    const other = playGrants(database.db, {}, zoom).grants;
    const answer = createGate();
    zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const abort = new AbortController();
    const aborted = grants.accessToken(grantId, { signal: abort.signal });
    await soon(() => zoom.sent.length).toBe(1);
    expect(await grants.accessToken(grantId, { patienceMs: 10 })).toEqual({
      kind: 'temporarily_unavailable',
      reason: 'patience_over',
    });
    expect(await other.accessToken(grantId, { patienceMs: 10 })).toEqual({
      kind: 'temporarily_unavailable',
      reason: 'patience_over',
    });
    abort.abort(new Error('job timed out'));
    expect(await aborted).toEqual({ kind: 'temporarily_unavailable', reason: 'aborted' });
    answer.open();
    await grants.settle();
    expect(tokenOf(await other.accessToken(grantId))).toBe(`access-${family}-1`);
    expect(zoom.sent).toHaveLength(1);
  });

  test('shutdown waits for the one on its way and starts no other', async () => {
    const one = await fileOne(database.db);
    const two = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    const answer = createGate();
    zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const waiting = grants.accessToken(one.grantId);
    await soon(() => zoom.sent.length).toBe(1);
    let closed = false;
    const closing = grants.close().then(() => {
      closed = true;
    });
    expect(await grants.accessToken(two.grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'shutting_down' });
    expect(closed).toBe(false);
    answer.open();
    await closing;
    expect(await grantRow(database.db, one.grantId)).toMatchObject({ version: 2 });
    expect(tokenOf(await waiting)).toBe(`access-${one.family}-1`);
  });

  test('a grant whose refresh hangs does not hold up another', async () => {
    const one = await fileOne(database.db);
    const two = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    const answer = createGate();
    zoom.script.push(async (_sent, rotate) => {
      await answer.opened;
      return rotate();
    });
    const hanging = grants.accessToken(one.grantId);
    await soon(() => zoom.sent.length).toBe(1);
    expect(tokenOf(await grants.accessToken(two.grantId))).toBe(`access-${two.family}-1`);
    answer.open();
    await hanging;
  });

  test('a process that is paused between lease and request sends nothing', async () => {
    const { grantId, family } = await fileOne(database.db);
    let paused = false;
    const { grants, zoom, events } = playGrants(database.db, {
      onCrashPoint: async (point) => {
        if (point !== 'acquired' || paused) return;
        paused = true;
        // 45 s lease, 30 s request: after 16 s it could end too late.
        await advanceClock(database.db, 16_000);
      },
    });
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-1`);
    expect(events.filter((event) => event.type === 'refresh_not_sent')).toMatchObject([{ detail: 'paused' }]);
    expect(await outcomes(database.db, grantId)).toEqual(['not_sent', 'rotated']);
    expect(zoom.sent).toHaveLength(1);
  });

  test('a pause after the last look at the database is noticed as well', async () => {
    const { grantId } = await fileOne(database.db);
    let paused = false;
    const { grants, zoom, events } = playGrants(database.db, {
      times: { leaseMs: 600, httpMs: 400, marginMs: 100 },
      onCrashPoint: (point) => {
        if (point !== 'before_send' || paused) return;
        paused = true;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
      },
    });
    expect((await grants.accessToken(grantId)).kind).toBe('token');
    expect(events.filter((event) => event.type === 'refresh_not_sent')).toMatchObject([{ detail: 'paused' }]);
    expect(zoom.sent).toHaveLength(1);
  });
});

describe('step 5: commit first', () => {
  test.each<[string, Partial<Extract<TokenAnswer, { kind: 'tokens' }>>, Record<string, unknown>]>([
    [
      'everything',
      { expiresInS: 3599, scopes: ['a'], apiUrl: 'https://api-eu.zoom.us' },
      { scopes: ['a'], api_base: 'https://api-eu.zoom.us' },
    ],
    ['no expires_in', { expiresInS: null }, {}],
    ['expires_in of zero', { expiresInS: 0 }, {}],
    ['a negative expires_in', { expiresInS: -5 }, {}],
    ['an expires_in that is no number', { expiresInS: Number.NaN }, {}],
    ['no scope', { scopes: null }, { scopes: ['user:read:admin', 'meeting:write:admin'] }],
    ['an empty scope', { scopes: [] }, { scopes: ['user:read:admin', 'meeting:write:admin'] }],
    ['a scope Postgres cannot store', { scopes: ['a\u0000b', 'ok'] }, { scopes: ['ok'] }],
    ['an api_url of a stranger', { apiUrl: 'https://evil.test' }, { api_base: 'https://api.zoom.us' }],
    ['an api_url that is no URL', { apiUrl: '\u0000' }, { api_base: 'https://api.zoom.us' }],
  ])('2xx with %s is stored', async (_name, said, expected) => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => tokens('new', said));
    expect(tokenOf(await grants.accessToken(grantId))).toBe('access-new');
    const row = await grantRow(database.db, grantId);
    expect(row).toMatchObject({ version: 2, state: 'living', ...expected });
    const { rows } = await sql<{ s: number }>`select extract(epoch from access_expires_at - steward.now())::float8 as s
      from steward.grants where id = ${grantId}`.execute(database.db);
    const seconds = said.expiresInS === undefined || said.expiresInS === 3599 ? 3600 : 3000;
    expect(rows[0]?.s).toBeGreaterThan(seconds - 15);
    expect(rows[0]?.s).toBeLessThanOrEqual(seconds);
  });

  test('2xx without a refresh token: the access token is stored, the old refresh token kept, somebody told', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom, events } = playGrants(database.db);
    zoom.script.push(() => tokens('half', { refreshToken: null }));
    expect(tokenOf(await grants.accessToken(grantId))).toBe('access-half');
    expect(events).toContainEqual({ type: 'refresh_token_missing', grantId });
    await endAccessToken(database.db, grantId);
    await grants.accessToken(grantId);
    expect(zoom.sent.map((one) => one.refreshToken)).toEqual([`refresh-${family}-0`, `refresh-${family}-0`]);
  });

  test.each<[string, string]>([
    [
      'suspect',
      `state = 'suspect', suspect_since = steward.now(), suspect_reason = 'revoked', second_look_at = steward.now() + interval '10 minutes'`,
    ],
    ['dead', `state = 'dead', dead_reason = 'refresh_lost'`],
  ])('a success that arrives when the grant is %s by now is stored, and the grant lives', async (_state, change) => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(async (_sent, rotate) => {
      await sql.raw(`update steward.grants set ${change} where id = '${grantId}'`).execute(database.db);
      return rotate();
    });
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-1`);
    expect(await grantRow(database.db, grantId)).toMatchObject({
      state: 'living',
      version: 2,
      dead_reason: null,
      suspect_since: null,
      second_look_at: null,
      suspect_reason: null,
    });
  });

  test('a success that arrives when the connection is disconnected and the grant retiring is stored; it goes on retiring', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(async (_sent, rotate) => {
      await sql`update steward.grants set state = 'retiring', retire_until = steward.now() + interval '1 day' where id = ${grantId}`.execute(
        database.db,
      );
      return rotate();
    });
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason: 'retiring' });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'retiring', version: 2 });
  });

  test('an answer to an older pair cannot overwrite a newer consent', async () => {
    const { grantId, family } = await fileOne(database.db, { user: 'consenting-again', account: 'x' });
    const { grants, zoom, events } = playGrants(database.db);
    zoom.script.push(async (_sent, rotate) => {
      await database.db.transaction().execute((trx) =>
        fileGrant(trx, testVault, {
          client: adminClient,
          zoomAccountId: 'x',
          zoomUserId: 'consenting-again',
          zoomUserEmail: null,
          tokens: tokens('consent'),
          api,
        }),
      );
      return rotate();
    });
    expect(tokenOf(await grants.accessToken(grantId))).toBe('access-consent');
    expect(await grantRow(database.db, grantId)).toMatchObject({ version: 2, lease_token: null });
    expect(events).toContainEqual({ type: 'refresh_rotated', grantId, version: 2, recovery: false, stale: true });
    expect(zoom.sent).toMatchObject([{ refreshToken: `refresh-${family}-0` }]);
  });

  test('the database is away when the answer arrives: nobody is answered before it is stored', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom, events } = playGrants(database.db);
    zoom.script.push(async (_sent, rotate) => {
      await sql`alter table steward.refresh_attempts rename to away`.execute(database.db);
      return rotate();
    });
    let answered = false;
    const waiting = grants.accessToken(grantId, { patienceMs: 20_000 }).then((got) => {
      answered = true;
      return got;
    });
    await soon(() => events.filter((event) => event.type === 'database_away').length).toBeGreaterThan(1);
    expect(answered).toBe(false);
    expect(events.every((event) => event.type !== 'database_away' || event.holdingPair)).toBe(true);
    await sql`alter table steward.away rename to refresh_attempts`.execute(database.db);
    expect(tokenOf(await waiting)).toBe(`access-${family}-1`);
    expect(zoom.sent).toHaveLength(1);
    // Its hour began when Zoom answered, not when the database came back: two tries had failed by then.
    const { rows } = await sql<{ waitedMs: number }>`
      select (extract(epoch from a.ended_at - g.refreshed_at) * 1000)::float8 as "waitedMs"
        from steward.grants g join steward.refresh_attempts a on a.grant_id = g.id where g.id = ${grantId}`.execute(
      database.db,
    );
    expect(rows[0]?.waitedMs).toBeGreaterThan(40);
  });

  test('the acknowledgement of the commit is lost: the pair serves, and every connection looks what it brought', async () => {
    const { grantId } = await fileOne(database.db);
    const connectionId = crypto.randomUUID();
    await sql`insert into steward.org_connections (id, organization_id, state, grant_id)
              values (${connectionId}, gen_random_uuid(), 'active', ${grantId})`.execute(database.db);
    let losing = false;
    const db = loseAcknowledgement(database.db, () => {
      const lost = losing;
      losing = false;
      return lost;
    });
    const { grants, zoom } = playGrants(db);
    zoom.script.push(() => {
      losing = true;
      return tokens('less', { scopes: ['user:read:admin'] });
    });
    expect(tokenOf(await grants.accessToken(grantId))).toBe('access-less');
    await grants.settle();
    expect(zoom.sent).toHaveLength(1);
    expect(await outcomes(database.db, grantId)).toEqual(['rotated']);
    const owed = await database.db.selectFrom('steward.outbox').select('job').where('key', '=', connectionId).execute();
    expect(owed).toEqual([{ job: 'verify-admin-role' }]);
  });

  test('scopes that shrank are stored first, then every connection of the grant is verified', async () => {
    const { grantId } = await fileOne(database.db);
    const connectionId = crypto.randomUUID();
    await sql`insert into steward.org_connections (id, organization_id, state, grant_id)
              values (${connectionId}, gen_random_uuid(), 'active', ${grantId})`.execute(database.db);
    const { grants, zoom, events } = playGrants(database.db);
    zoom.script.push(() => tokens('less', { scopes: ['user:read:admin'] }));
    await grants.accessToken(grantId);
    expect(events).toContainEqual({ type: 'scopes_shrank', grantId, missing: ['meeting:write:admin'] });
    const owed = await database.db
      .selectFrom('steward.outbox')
      .select(['job', 'payload'])
      .where('key', '=', connectionId)
      .execute();
    expect(owed).toEqual([{ job: 'verify-admin-role', payload: { connectionId } }]);
  });
});

describe('step 6: everything else', () => {
  test('not a byte was written: safe to repeat after a short back-off', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db, { times: { backOffMs: 30 } });
    zoom.script.push(
      () => ({ kind: 'not_sent', detail: 'ECONNREFUSED' }),
      () => ({ kind: 'not_sent', detail: 'ENOTFOUND' }),
    );
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-1`);
    expect(await outcomes(database.db, grantId)).toEqual(['not_sent', 'not_sent', 'rotated']);
  });

  test('a time-out after sending: unknown, nothing more before the deadline and its margin, then a recovery', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    const other = playGrants(database.another(), { holder: 'other' }, zoom).grants;
    zoom.script.push(() => ({ kind: 'unknown', detail: 'time-out' }));
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'outcome_unknown' });
    await advanceClock(database.db, 59_000);
    expect(await other.accessToken(grantId, { patienceMs: 20 })).toEqual({
      kind: 'temporarily_unavailable',
      reason: 'outcome_unknown',
    });
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'not_due' });
    expect(zoom.sent).toHaveLength(1);
    await advanceClock(database.db, 2_000);
    expect(await listDueGrants(database.db, 1000)).toContainEqual({ id: grantId, work: 'second_look' });
    expect(tokenOf(await other.accessToken(grantId))).toBe(`access-${family}-1`);
    const attempts = await database.db
      .selectFrom('steward.refresh_attempts')
      .select(['outcome', 'recovery', 'holder'])
      .where('grant_id', '=', grantId)
      .orderBy('started_at')
      .execute();
    expect(attempts).toEqual([
      { outcome: 'unknown', recovery: false, holder: 'test' },
      { outcome: 'rotated', recovery: true, holder: 'other' },
    ]);
    expect(await listDueGrants(database.db, 1000)).not.toContainEqual({ id: grantId, work: 'second_look' });
  });

  test.each([500, 502, 503, 302, 429])(
    'a whole %i says nothing about the grant: repeated after a back-off',
    async (status) => {
      const { grantId, family } = await fileOne(database.db);
      const { grants, zoom } = playGrants(database.db, { times: { backOffMs: 25 } });
      for (let n = 0; n < 4; n += 1)
        zoom.script.push(() => ({ kind: 'server', status, retryAfterMs: null, detail: 'maintenance' }));
      expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-1`);
      expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living' });
      expect(zoom.sent).toHaveLength(5);
    },
  );

  test('a 429 pauses the client id for every grant', async () => {
    const one = await fileOne(database.db);
    const two = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => ({ kind: 'server', status: 429, retryAfterMs: 90_000, detail: 'slow down' }));
    expect(await grants.accessToken(one.grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'rate_limited' });
    expect(await grants.accessToken(two.grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'rate_limited' });
    expect(zoom.sent).toHaveLength(1);
    await advanceClock(database.db, 91_000);
    expect((await grants.accessToken(two.grantId)).kind).toBe('token');
  });

  test('while a refresh is not possible, the old token serves as long as it lives', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    await advanceClock(database.db, 55 * minute);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => ({ kind: 'server', status: 503, retryAfterMs: 3600_000, detail: 'maintenance' }));
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-0`);
    await advanceClock(database.db, 280_000);
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'outcome_unknown' });
  });

  test('the key of a row is missing: not sent, unreadable, alive', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db, {
      vault: createVault({ keys: [newKey('k2')], activeKeyId: 'k2' }),
    });
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'vault_unreadable' });
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'not_due' });
    expect(zoom.sent).toEqual([]);
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living', version: 1 });
  });

  test('an operator paused Zoom: nothing is handed out or sent', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    await sql`insert into steward.switches values ('pause_zoom', 'test', 'operator:test', steward.now())`.execute(
      database.db,
    );
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'paused' });
    await sql`delete from steward.switches`.execute(database.db);
    expect(zoom.sent).toEqual([]);
  });
});

describe('about the application', () => {
  const two = { ...adminClient, secrets: [new Secret('old-secret'), new Secret('new-secret')] };
  const invalidClient: TokenAnswer = {
    kind: 'application',
    code: 'invalid_client',
    detail: 'Invalid client_id or client_secret',
  };

  test('the next client secret is tried, and stays the first', async () => {
    const one = await fileOne(database.db);
    const other = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db, { clients: [two] });
    zoom.script.push((sent, rotate) => (sent.secret === 'old-secret' ? invalidClient : rotate()));
    expect((await grants.accessToken(one.grantId)).kind).toBe('token');
    expect((await grants.accessToken(other.grantId)).kind).toBe('token');
    expect(zoom.sent.map((sent) => sent.secret)).toEqual(['old-secret', 'new-secret', 'new-secret']);
    expect(await outcomes(database.db, one.grantId)).toEqual(['refused', 'rotated']);
  });

  test('refused for all: the breaker opens, no grant changes, one probe later closes it', async () => {
    const filed = await Promise.all(Array.from({ length: 6 }, () => fileOne(database.db)));
    const { grants, zoom, events } = playGrants(database.db, { clients: [two] });
    zoom.script.push(...Array.from({ length: 4 }, () => () => invalidClient));
    for (const { grantId } of filed) {
      expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'application' });
    }
    expect(zoom.sent).toHaveLength(2);
    expect(events.filter((event) => event.type === 'application_refused' && event.breakerOpened)).toHaveLength(1);
    // Still refused when the breaker's time is over: one probe with each secret, not one a grant.
    await advanceClock(database.db, 31_000);
    await Promise.all(filed.map(({ grantId }) => grants.accessToken(grantId)));
    expect(zoom.sent).toHaveLength(4);
    for (const { grantId } of filed)
      expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living', version: 1 });
    const told = await database.db
      .selectFrom('steward.audit_log')
      .select('action')
      .where('action', '=', 'client.refused')
      .execute();
    expect(told).toHaveLength(1);
    await advanceClock(database.db, 61_000);
    const [first, ...others] = filed.map(({ grantId }) => grantId);
    expect((await grants.accessToken(first as string)).kind).toBe('token');
    const got = await Promise.all(others.map((grantId) => grants.accessToken(grantId)));
    expect(new Set(got.map((one) => one.kind))).toEqual(new Set(['token']));
    expect(zoom.sent).toHaveLength(10);
  });

  test('a disabled app stops all grants of the client id', async () => {
    const one = await fileOne(database.db);
    const other = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => ({ kind: 'application', code: '4717', detail: 'disabled' }));
    expect((await grants.accessToken(one.grantId)).kind).toBe('temporarily_unavailable');
    expect(await grants.accessToken(other.grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'application' });
    expect(zoom.sent).toHaveLength(1);
  });

  const toldOperators = () =>
    database.db
      .selectFrom('steward.audit_log')
      .select(['reason', 'data'])
      .where('action', '=', 'client.refused')
      .orderBy('at', 'desc')
      .limit(1)
      .executeTakeFirst();

  test.each(['4711', 'invalid_request'])('%s at the token endpoint opens the breaker and is told', async (code) => {
    // Others were filed or refreshed long ago.
    await advanceClock(database.db, 11 * minute);
    const one = await fileOne(database.db);
    const other = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => ({ kind: 'application', code, detail: '' }));
    expect((await grants.accessToken(one.grantId)).kind).toBe('temporarily_unavailable');
    expect(await grants.accessToken(other.grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'application' });
    expect(zoom.sent).toHaveLength(1);
    expect(await toldOperators()).toMatchObject({ reason: code, data: { stopsAll: true } });
    for (const { grantId } of [one, other])
      expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living' });
  });

  test.each(['4711', 'invalid_request'])(
    '%s stops this grant alone while others are refreshed, and is told once',
    async (code) => {
      const one = await fileOne(database.db);
      const other = await fileOne(database.db);
      const { grants, zoom } = playGrants(database.db);
      expect((await grants.accessToken((await fileOne(database.db)).grantId)).kind).toBe('token');
      zoom.script.push(() => ({
        kind: 'application',
        code,
        detail: '',
      }));
      // Less than its back-off of 30 s, and time enough for a slow machine to send.
      expect((await grants.accessToken(one.grantId, { patienceMs: 20_000 })).kind).toBe('temporarily_unavailable');
      expect((await grants.accessToken(other.grantId)).kind).toBe('token');
      expect(await grantRow(database.db, one.grantId)).toMatchObject({ state: 'living' });
      expect(await toldOperators()).toMatchObject({ reason: code, data: { stopsAll: false } });
    },
  );

  test('a database that does not answer keeps nobody beyond its patience', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { grants } = playGrants(database.db);
    const locked = createGate();
    const answered = createGate();
    const other = database.db.transaction().execute(async (trx) => {
      await sql`lock table steward.grants in access exclusive mode`.execute(trx);
      locked.open();
      await answered.opened;
    });
    await locked.opened;
    const refused = { kind: 'temporarily_unavailable', reason: 'patience_over' };
    expect(await grants.accessToken(grantId, { patienceMs: 20 })).toEqual(refused);
    answered.open();
    await other;
    expect((await grants.accessToken(grantId, { patienceMs: 0 })).kind).toBe('token');
  });

  test('a client id that is no longer configured is no dead grant', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants } = playGrants(database.db, { clients: [] });
    expect(await grants.accessToken(grantId)).toEqual({
      kind: 'temporarily_unavailable',
      reason: 'client_not_configured',
    });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living' });
  });
});

describe('about the grant', () => {
  test('suspect at the first look, dead at the second, ten minutes later, and not called in between', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom, events } = playGrants(database.db);
    zoom.script.push(
      () => refused,
      () => refused,
    );
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'suspect' });
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'suspect', suspect_reason: 'revoked' });
    await advanceClock(database.db, 9 * minute);
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'temporarily_unavailable', reason: 'suspect' });
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'not_due' });
    expect(zoom.sent).toHaveLength(1);
    await advanceClock(database.db, minute + 1_000);
    expect(await listDueGrants(database.db, 1000)).toContainEqual({ id: grantId, work: 'second_look' });
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'dead' });
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason: 'revoked' });
    expect(zoom.sent).toHaveLength(2);
    expect(events.map((event) => event.type)).toEqual([
      'refresh_refused',
      'grant_suspect',
      'refresh_refused',
      'grant_dead',
    ]);
  });

  test.each([
    ['a minute', 0],
    ['longer than the second look waits', 15 * minute],
  ])('a refusal that a process paused for %s held back is no second look', async (_name, laterMs) => {
    const { grantId } = await fileOne(database.db);
    const paused = playGrants(database.db, { holder: 'paused' });
    const other = playGrants(database.db, { holder: 'other' }, paused.zoom).grants;
    const wakes = createGate();
    paused.zoom.script.push(
      async () => {
        await wakes.opened;
        return refused;
      },
      () => refused,
    );
    const patience = new AbortController();
    const refreshing = paused.grants.accessToken(grantId, { signal: patience.signal });
    await soon(() => paused.zoom.sent.length).toBe(1);
    patience.abort();
    expect(await refreshing).toMatchObject({ kind: 'temporarily_unavailable' });
    await advanceClock(database.db, 61_000);
    expect(await other.secondLook(grantId)).toEqual({ kind: 'looked', state: 'suspect' });
    await advanceClock(database.db, laterMs);
    wakes.open();
    await paused.grants.settle();
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'suspect', dead_reason: null });
    expect(await outcomes(database.db, grantId)).toEqual(['refused', 'refused']);
  });

  test('an incident that looked like a dead grant passes', async () => {
    const { grantId, family } = await fileOne(database.db);
    const { grants, zoom, events } = playGrants(database.db);
    zoom.script.push(() => refused);
    await grants.accessToken(grantId);
    await advanceClock(database.db, 11 * minute);
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'living' });
    expect(tokenOf(await grants.accessToken(grantId))).toBe(`access-${family}-1`);
    expect(events).toContainEqual({ type: 'grant_lives_again', grantId });
  });

  test('after an unknown outcome it is refresh_lost, never revoked – and only after the second look', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push((_sent, rotate) => {
      rotate();
      return { kind: 'unknown', detail: 'reset' };
    });
    await grants.accessToken(grantId);
    await advanceClock(database.db, 61_000);
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'suspect' });
    expect(await grantRow(database.db, grantId)).toMatchObject({ suspect_reason: 'refresh_lost', dead_reason: null });
    await advanceClock(database.db, 11 * minute);
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'dead' });
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason: 'refresh_lost' });
  });

  test('an outage between the looks does not declare it dead', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db, { times: { backOffMs: 1, longestBackOffMs: 1 } });
    zoom.script.push(() => refused);
    await grants.accessToken(grantId);
    await advanceClock(database.db, 11 * minute);
    for (const answer of [
      { kind: 'server', status: 503, retryAfterMs: null, detail: '' },
      { kind: 'not_sent', detail: '' },
      { kind: 'application', code: 'invalid_client', detail: '' },
    ] satisfies TokenAnswer[]) {
      zoom.script.push(() => answer);
      await grants.secondLook(grantId);
      expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'suspect' });
      await advanceClock(database.db, 2 * minute);
    }
    expect(await grants.secondLook(grantId)).toEqual({ kind: 'looked', state: 'living' });
  });

  test.each<[string, number, string]>([
    ['4735', 1, 'user_removed'],
    ['4738', 1, 'app_uninstalled'],
    ['4741', 1, 'revoked'],
    ['invalid_grant', 87, 'revoked'],
    ['invalid_grant', 90, 'grant_expired'],
    ['invalid_grant', 400, 'revoked'],
  ])('%s, %i days after the consent, is named %s', async (code, days, reason) => {
    const { grantId } = await fileOne(database.db);
    await sql`update steward.grants set consented_at = steward.now() - ${days} * interval '1 day' where id = ${grantId}`.execute(
      database.db,
    );
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(
      () => ({ kind: 'grant', code, detail: '' }),
      () => ({ kind: 'grant', code, detail: '' }),
    );
    await grants.accessToken(grantId);
    await advanceClock(database.db, 11 * minute);
    await grants.secondLook(grantId);
    expect(await grants.accessToken(grantId)).toEqual({ kind: 'dead', reason });
  });

  test('its connections are told to look, with the state', async () => {
    const { grantId } = await fileOne(database.db);
    const connectionId = crypto.randomUUID();
    const memberId = crypto.randomUUID();
    await sql`insert into steward.org_connections (id, organization_id, state, grant_id)
              values (${connectionId}, gen_random_uuid(), 'active', ${grantId})`.execute(database.db);
    await sql`insert into steward.personal_connections (id, organization_id, member_id, state, grant_id)
              values (gen_random_uuid(), gen_random_uuid(), ${memberId}, 'active', ${grantId})`.execute(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => refused);
    await grants.accessToken(grantId);
    const owed = await database.db
      .selectFrom('steward.outbox')
      .select(['job', 'key'])
      .where('key', 'in', [connectionId, memberId])
      .orderBy('id')
      .execute();
    expect(owed).toEqual([
      { job: 'verify-admin-role', key: connectionId },
      { job: 'reconcile-member', key: memberId },
    ]);
  });
});
