import { sql } from 'kysely';
import { beforeEach, expect, test } from 'vitest';
import type { TokenAnswer } from '../../src/zoom/oauth.ts';
import { playCli } from '../cli/play-cli.ts';
import { useDatabase } from '../support/database.ts';
import { advanceClock, fileOne, grantRow, playGrants } from './setting.ts';

const database = useDatabase();
const refused: TokenAnswer = { kind: 'grant', code: 'invalid_grant', detail: 'Invalid Token!' };
const lookMs = 11 * 60_000;

beforeEach(async () => {
  await sql`truncate steward.grants cascade`.execute(database.db);
  await sql`delete from steward.installation where key = 'vault.rewound'`.execute(database.db);
});

async function sayRewound(to: Date): Promise<Record<string, unknown>> {
  const line = ['vault', 'rewound', '--to', to.toISOString(), '--reason', 'restored', '--as', 'jo', '--json'];
  const { code, out } = await playCli(line, { env: { DATABASE_URL: database.url } });
  expect(code).toBe(0);
  return JSON.parse(out) as Record<string, unknown>;
}

/** Two looks at a grant that Zoom refuses. */
async function die(grantId: string, zoom: ReturnType<typeof playGrants>): Promise<void> {
  zoom.zoom.script.push(() => refused);
  await zoom.grants.accessToken(grantId);
  await advanceClock(database.db, lookMs);
  zoom.zoom.script.push(() => refused);
  await zoom.grants.secondLook(grantId);
}

const past = (): Promise<unknown> =>
  sql`update steward.grants set consented_at = now() - interval '2 hours', refreshed_at = now() - interval '2 hours'`.execute(
    database.db,
  );

test('pairs of before that Zoom refuses are named restored, those it takes live on, later ones are what they are', async () => {
  const spent = await fileOne(database.db);
  const good = await fileOne(database.db);
  await past();
  const affected = await sayRewound(new Date(Date.now() - 3600_000));
  expect(affected).toMatchObject({ affected: 2, renamed: 0 });
  const later = await fileOne(database.db);
  const play = playGrants(database.db);
  await die(spent.grantId, play);
  expect(await grantRow(database.db, spent.grantId)).toMatchObject({ state: 'dead', dead_reason: 'restored' });
  expect((await play.grants.accessToken(good.grantId)).kind).toBe('token');
  await die(later.grantId, play);
  expect(await grantRow(database.db, later.grantId)).toMatchObject({ state: 'dead', dead_reason: 'revoked' });
});

test('what was declared or suspected before it was said is renamed; what died before that time is not', async () => {
  const died = await fileOne(database.db);
  const suspect = await fileOne(database.db);
  const longDead = await fileOne(database.db);
  await past();
  const play = playGrants(database.db);
  await die(longDead.grantId, play);
  await sql`update steward.audit_log set at = now() - interval '90 minutes' where subject_id = ${longDead.grantId}`.execute(
    database.db,
  );
  await die(died.grantId, play);
  play.zoom.script.push(() => refused);
  await play.grants.accessToken(suspect.grantId);
  expect(await sayRewound(new Date(Date.now() - 3600_000))).toMatchObject({ renamed: 2 });
  expect(await grantRow(database.db, died.grantId)).toMatchObject({ dead_reason: 'restored' });
  expect(await grantRow(database.db, suspect.grantId)).toMatchObject({ state: 'suspect', suspect_reason: 'restored' });
  expect(await grantRow(database.db, longDead.grantId)).toMatchObject({ dead_reason: 'revoked' });
});

test('a version that goes backwards holds all declarations until an operator has said what happened', async () => {
  const { db } = database;
  const { grantId } = await fileOne(db);
  const before = await grantRow(db, grantId);
  const { grants, events } = playGrants(db);
  expect((await grants.accessToken(grantId)).kind).toBe('token');
  const putBack = (): Promise<unknown> =>
    sql`update steward.grants set version = ${before.version}, sealed_access = ${before.sealed_access}, sealed_refresh = ${before.sealed_refresh},
               access_expires_at = steward.now() + interval '1 hour' where id = ${grantId}`.execute(db);
  const switches = () => db.selectFrom('steward.switches').select(['name', 'reason']).execute();
  expect(await switches()).toEqual([]);
  await putBack();
  await grants.accessToken(grantId);
  expect(events).toContainEqual({ type: 'versions_went_back', grantId, known: 2, version: 1 });
  expect(await switches()).toEqual([{ name: 'pause_declaring', reason: expect.stringContaining('vault rewound') }]);
  await sayRewound(new Date());
  await db.deleteFrom('steward.switches').execute();
  await sql`update steward.grants set version = 2 where id = ${grantId}`.execute(db);
  await grants.secondLook(grantId);
  await putBack();
  await grants.secondLook(grantId);
  expect(events.filter(({ type }) => type === 'versions_went_back')).toHaveLength(2);
  expect(await switches()).toEqual([]);
});
