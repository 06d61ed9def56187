import { createDatabase } from '../src/db/database.ts';
import { migrateReferenceApp } from '../src/db/migrate.ts';
import { startTemporaryPostgres } from '../src/embedded/postgres.ts';
import { startPrivateRedis } from '../src/embedded/redis.ts';
import { migrateAll } from '../src/queues/migrate-all.ts';
import { Secret } from '../src/secret.ts';
import type { BenchResult } from './measure.ts';
import { works } from './works.ts';

export type WorkRequest = {
  readonly members: number;
  readonly sample: number;
  readonly queue: 'postgres' | 'redis';
  /** a Redis that runs; without it one is started */
  readonly redisUrl?: string;
};

/** Settings that differ from Postgres' own, for both sides of every benchmark. */
export const serverSettings = ['max_connections=150', 'shared_buffers=512MB', 'max_wal_size=4GB'] as const;

/** One benchmark on a fresh embedded Postgres, and a fresh Redis if the queue is there. */
export async function runWork(name: string, { members, sample, queue, redisUrl }: WorkRequest): Promise<BenchResult> {
  const work = works[name];
  if (!work) throw new Error(`no benchmark is called ${name}`);
  const server = await startTemporaryPostgres(serverSettings.flatMap((setting) => ['-c', setting]));
  const redis = queue === 'redis' && redisUrl === undefined ? await startPrivateRedis() : undefined;
  try {
    const databaseUrl = server.url();
    const db = createDatabase({ url: databaseUrl, max: 10 });
    await migrateReferenceApp(db);
    await migrateAll(db, { databaseUrl: new Secret(databaseUrl), queue, queuePrefix: 'steward' });
    const url = queue === 'redis' ? (redisUrl ?? redis?.url) : undefined;
    const result = await work({ db, databaseUrl, ...(url ? { redisUrl: url } : {}), members, sample });
    await db.destroy();
    return result;
  } finally {
    await redis?.stop();
    await server.stop();
  }
}
