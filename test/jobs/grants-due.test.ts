import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { findGrantsDue } from '../../src/jobs/upkeep/looks-due.ts';
import { fileOne } from '../grants/setting.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

test('grants that cannot move do not keep the others from being looked at', async () => {
  const { db } = database;
  const ids: string[] = [];
  for (let n = 0; n < 5; n += 1) ids.push((await fileOne(db, { fresh: true })).grantId);
  await sql`update steward.grants set state = 'retiring', retire_until = steward.now() + interval '1 day'`.execute(db);
  const said = new Set<string>();
  for (let tick = 0; tick < 3; tick += 1) {
    expect(await findGrantsDue(db, 2)).toEqual({ found: 2 });
    const { rows } = await sql<{ key: string }>`delete from steward.outbox returning key`.execute(db);
    // Taken by a job each time, and none of them gets anywhere.
    for (const { key } of rows) said.add(key);
  }
  expect(said).toEqual(new Set(ids));
});
