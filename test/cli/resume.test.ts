import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { type Played, playCli } from './play-cli.ts';

const database = useDatabase();
const steward = (...line: string[]): Promise<Played> =>
  playCli([...line, '--reason', 'all of them were demoted, checked', '--as', 'jo'], {
    env: { DATABASE_URL: database.url },
  });
const released = async (): Promise<number> =>
  (
    await sql`select from steward.installation where key = 'fleet_guard.released_until' and (value #>> '{}')::timestamptz > steward.now()`.execute(
      database.db,
    )
  ).rows.length;
const audited = async (): Promise<unknown[]> =>
  (
    await sql<{ action: string }>`select action from steward.audit_log order by id desc limit 2`.execute(database.db)
  ).rows.map(({ action }) => action);

test('what an operator paused goes on; the fleet guard keeps counting', async () => {
  await steward('pause', 'declaring');
  expect((await steward('resume', 'declaring')).code).toBe(0);
  expect(await released()).toBe(0);
  expect(await audited()).toEqual(['switch.pause_declaring.off', 'switch.pause_declaring.on']);
});

test('a hold of the fleet guard is released, and does not close again at the next look', async () => {
  await sql`insert into steward.switches values ('pause_declaring', 'fleet guard: 9 connections', 'schedule', steward.now())`.execute(
    database.db,
  );
  expect((await steward('resume', 'declaring')).code).toBe(0);
  expect(await released()).toBe(1);
  expect((await sql`select from steward.switches`.execute(database.db)).rows).toEqual([]);
  expect(await audited()).toEqual(['switch.pause_declaring.off', 'fleet_guard.released']);
});
