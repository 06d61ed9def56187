import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from './database.ts';
import { loadPrograms } from './migrate.ts';

/** A fact about this installation, or undefined. */
export async function findFact<T>(db: Database, key: string): Promise<T | undefined> {
  const { rows } = await sql<{ value: T }>`select value from steward.installation where key = ${key}`.execute(db);
  return rows[0]?.value;
}

/** Sets a fact about this installation. */
export async function upsertFact(db: Database, key: string, value: unknown): Promise<void> {
  await sql`
    insert into steward.installation (key, value, updated_at) values (${key}, ${JSON.stringify(value)}::jsonb, steward.now())
    on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at`.execute(db);
}

/** Fingerprint of the SQL functions and views of this release: they change without a migration. */
export function programsFingerprint(): string {
  const hash = createHash('sha256');
  for (const { name, text } of loadPrograms()) hash.update(name).update('\0').update(text).update('\0');
  return hash.digest('hex').slice(0, 32);
}
