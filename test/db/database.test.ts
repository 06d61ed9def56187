import { createServer, type Socket } from 'node:net';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { createDatabase } from '../../src/db/database.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

test('a server that accepts and says nothing does not keep anybody for ever', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket));
  const listening = Promise.withResolvers<void>();
  silent.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const { port } = silent.address() as { port: number };
  const db = createDatabase({ url: `postgres://steward@127.0.0.1:${port}/none`, connectTimeoutMs: 50 });
  await expect(sql`select 1`.execute(db)).rejects.toThrow(/timeout/i);
  await db.destroy();
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('whoever waits for a connection of the pool does not wait for ever', async () => {
  const db = createDatabase({ url: database.url, max: 1, connectTimeoutMs: 200 });
  await db.transaction().execute(async () => {
    await expect(sql`select 1`.execute(db)).rejects.toThrow(/timeout/i);
  });
  await db.destroy();
});

test('locks of whoever vanished inside a transaction are given back, statements may take long', async () => {
  const { rows } = await sql<{ idle: string; statement: string }>`
    select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('statement_timeout') as statement`.execute(
    database.db,
  );
  expect(rows).toEqual([{ idle: '1min', statement: '0' }]);
});
