import { Redis } from 'ioredis';
import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';

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
  await sql.raw(`truncate ${rows.map(({ name }) => name).join(', ')}`).execute(db);
}
