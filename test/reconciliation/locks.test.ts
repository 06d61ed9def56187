import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { lockEventTypes } from '../../src/reconciliation/locks.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

test('somebody who hosts more event types than the server has locks for is looked at all the same', async () => {
  const ids = Array.from({ length: 50_000 }, () => randomUUID());
  const held = await database.db.transaction().execute(async (trx) => {
    await lockEventTypes(trx, ids);
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`.execute(trx);
    return rows[0]?.n ?? 0;
  });
  expect(held).toBeGreaterThan(1);
  expect(held).toBeLessThanOrEqual(128);
});

test('two lists with one event type in common wait for each other, in whatever order they come', async () => {
  const shared = randomUUID();
  const list = () => [randomUUID(), shared, randomUUID()];
  const first = await database.db.startTransaction().execute();
  await lockEventTypes(first, list().sort());
  const second = database.db.transaction().execute(async (trx) => {
    await sql`set local lock_timeout = '300ms'`.execute(trx);
    await lockEventTypes(trx, list().sort().reverse());
  });
  await expect(second).rejects.toThrow(/lock timeout/);
  await first.commit().execute();
  const many = Array.from({ length: 20 }, (_, n) => {
    const ids = [...list(), ...list()].sort();
    return database.db.transaction().execute((trx) => lockEventTypes(trx, n % 2 === 0 ? ids : ids.reverse()));
  });
  await expect(Promise.all(many)).resolves.toHaveLength(20);
});
