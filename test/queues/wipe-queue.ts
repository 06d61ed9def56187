import { Redis } from 'ioredis';
import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';

const deadlock = '40P01';

/**
 * Takes everything out of the queue at once, as a lost disk or a wrong command does: FLUSHALL, or empty tables of the
 * database where `redisUrl` is null.
 */
export async function wipeQueue(db: Database, redisUrl: string | null): Promise<void> {
  if (redisUrl !== null) {
    const redis = new Redis(redisUrl);
    try {
      await redis.flushall();
    } finally {
      redis.disconnect();
    }
    return;
  }
  const { rows } = await sql<{ name: string }>`
    select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
     where schemaname = 'bullmq' and tablename not like '%migration%'`.execute(db);
  if (rows.length === 0) throw new Error('Expected tables of the queue in schema bullmq, found none');
  const truncate = sql.raw(`truncate ${rows.map(({ name }) => name).join(', ')}`);
  for (;;) {
    const failed = await truncate.execute(db).then(
      () => undefined,
      (error: { code?: string }) => error,
    );
    if (failed === undefined) return;
    // Workers lock the same tables in another order; Postgres ends one of the two, and that may be us.
    if (failed.code !== deadlock) throw failed;
  }
}
