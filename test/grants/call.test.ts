import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import type { GrantAuth } from '../../src/grants/call.ts';
import type { ZoomAnswer } from '../../src/zoom/api.ts';
import { useDatabase } from '../support/database.ts';
import { tokens } from './scripted-zoom.ts';
import { advanceClock, fileOne, grantRow, outcomes, playGrants } from './setting.ts';

const database = useDatabase();

const refusedToken: ZoomAnswer<string> = {
  ok: false,
  failure: { kind: 'token', status: 401, code: 124, detail: 'Invalid access token.' },
};

/** A Zoom call that accepts only these access tokens, and remembers what it was called with. */
function playCall(...accepted: string[]) {
  const with_: string[] = [];
  const work = async (auth: GrantAuth): Promise<ZoomAnswer<string>> => {
    with_.push(auth.token.reveal());
    return accepted.includes(auth.token.reveal()) ? { ok: true, value: auth.apiBase } : refusedToken;
  };
  return { work, with_ };
}

describe('calling Zoom with a grant', () => {
  test('an answer other than a refused token is given as it is, after one call', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    const fine = playCall(`access-${family}-0`);
    expect(await grants.call(grantId, fine.work)).toMatchObject({
      kind: 'answer',
      answer: { ok: true, value: 'https://api.zoom.us' },
      version: 1,
    });
    const failure = { kind: 'missing_permission', status: 403, code: 403, detail: '' } as const;
    expect(await grants.call(grantId, async () => ({ ok: false, failure }))).toMatchObject({
      kind: 'answer',
      answer: { ok: false, failure },
    });
    expect(zoom.sent).toEqual([]);
  });

  test('a refused token with time left: one forced refresh, one more call', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    const { work, with_ } = playCall(`access-${family}-1`);
    expect(await grants.call(grantId, work)).toMatchObject({ kind: 'answer', answer: { ok: true }, version: 2 });
    expect(with_).toEqual([`access-${family}-0`, `access-${family}-1`]);
    expect(zoom.sent).toHaveLength(1);
  });

  test('many calls with the same refused token: one refresh for all of them', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { zoom } = playGrants(database.db);
    const processes = [1, 2].map(() => playGrants(database.another(), {}, zoom).grants);
    const { work } = playCall(`access-${family}-1`);
    const got = await Promise.all(Array.from({ length: 16 }, (_, at) => processes[at % 2]?.call(grantId, work)));
    expect(got.every((one) => one?.kind === 'answer' && one.answer.ok)).toBe(true);
    expect(zoom.sent).toHaveLength(1);
  });

  test('somebody refreshed meanwhile: the newer token is used, nothing is forced', async () => {
    const { grantId, family } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    const first = playCall(`access-${family}-1`);
    const got = await grants.call(grantId, async (auth) => {
      if (first.with_.length === 0) await grants.accessToken(grantId, { notVersion: 1 });
      return await first.work(auth);
    });
    expect(got).toMatchObject({ kind: 'answer', answer: { ok: true } });
    expect(zoom.sent).toHaveLength(1);
  });

  test('refused again with the newer token: given as it is, and no rotation on and on', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    const { work, with_ } = playCall();
    expect(await grants.call(grantId, work)).toMatchObject({ kind: 'answer', answer: refusedToken });
    expect(with_).toHaveLength(2);
    expect(await grants.call(grantId, work)).toEqual({ kind: 'temporarily_unavailable', reason: 'token_refused' });
    expect(await grants.call(grantId, work)).toEqual({ kind: 'temporarily_unavailable', reason: 'token_refused' });
    expect(zoom.sent).toHaveLength(1);
    await advanceClock(database.db, 61_000);
    await grants.call(grantId, work);
    expect(zoom.sent).toHaveLength(2);
    expect(await grantRow(database.db, grantId)).toMatchObject({ state: 'living' });
  });

  test('Zoom gives only a refresh token: the next refresh mends it', async () => {
    const { grantId } = await fileOne(database.db);
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(
      () => tokens('half', { accessToken: tokens('').accessToken, expiresInS: 1 }),
      () => tokens('whole'),
    );
    const { work } = playCall('access-whole');
    expect(await grants.call(grantId, work)).toMatchObject({ kind: 'answer', answer: { ok: true } });
    expect(zoom.sent).toHaveLength(2);
  });

  test.each(['dead', 'retiring', 'gone'])('a %s grant is never called with', async (state) => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const also = {
      dead: `dead_reason = 'revoked'`,
      retiring: `retire_until = steward.now()`,
      gone: 'sealed_access = null, sealed_refresh = null',
    }[state];
    await sql.raw(`update steward.grants set state = '${state}', ${also} where id = '${grantId}'`).execute(database.db);
    const { grants, zoom } = playGrants(database.db);
    const { work, with_ } = playCall();
    expect(await grants.call(grantId, work)).toMatchObject({ kind: 'dead' });
    expect(with_).toEqual([]);
    expect(zoom.sent).toEqual([]);
    expect(await outcomes(database.db, grantId)).toEqual([]);
  });

  test('it dies between two calls: the second is not made', async () => {
    const { grantId } = await fileOne(database.db, { fresh: true });
    const { grants, zoom } = playGrants(database.db);
    zoom.script.push(() => ({ kind: 'grant', code: '4741', detail: '' }));
    const { work, with_ } = playCall();
    expect(await grants.call(grantId, work)).toEqual({ kind: 'temporarily_unavailable', reason: 'suspect' });
    expect(with_).toHaveLength(1);
  });
});
