import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type { Database } from './database.ts';

const migrationsDir = join(import.meta.dirname, 'migrations');
const programsDir = join(import.meta.dirname, 'sql');

/** Raised when a database cannot be migrated; the message says what to do. */
class MigrationError extends Error {
  override readonly name = 'MigrationError';
  readonly code = 'migration_failed';
}

async function loadMigrations(prefix: 'app' | 'worker'): Promise<Record<string, Migration>> {
  const found: Record<string, Migration> = {};
  // Sources are .ts; what was built is .js, with declarations and source maps beside it.
  const wanted = prefix === 'app' ? /^(app-\d{4}-[a-z0-9-]+)\.[jt]s$/ : /^(\d{4}-[a-z0-9-]+)\.[jt]s$/;
  for (const file of readdirSync(migrationsDir).sort()) {
    const name = wanted.exec(file)?.[1];
    if (name) found[name] = (await import(pathToFileURL(join(migrationsDir, file)).href)) as Migration;
  }
  return found;
}

function migrator(db: Database, prefix: 'app' | 'worker'): Migrator {
  return new Migrator({
    db: db as unknown as Kysely<unknown>,
    provider: { getMigrations: () => loadMigrations(prefix) },
    migrationTableSchema: 'steward_migrations',
    migrationTableName: `${prefix}_migrations`,
    migrationLockTableName: `${prefix}_migrations_lock`,
  });
}

async function toLatest(db: Database, prefix: 'app' | 'worker'): Promise<string[]> {
  const { error, results } = await migrator(db, prefix).migrateToLatest();
  if (error) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName;
    throw new MigrationError(
      `Migration ${failed ?? '(before the first)'} failed; nothing of it was kept. ${String(error)}`,
      {
        cause: error,
      },
    );
  }
  return (results ?? []).map((result) => result.migrationName);
}

/**
 * SQL functions and views, one file an operation, in the order of their numbers.
 * They hold no data, so they are installed anew after every migration.
 */
export function loadPrograms(): { name: string; text: string }[] {
  return readdirSync(programsDir)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(programsDir, name), 'utf8') }));
}

/** Installs the reference tables of a main app (for dev, demo and tests). */
export function migrateReferenceApp(db: Database): Promise<string[]> {
  return toLatest(db, 'app');
}

/**
 * Brings the worker's schema to this version: tables, then functions and views.
 * Runs under a lock; running it twice, or twice at once, changes nothing.
 * @returns names of the migrations that ran now
 */
export async function migrate(db: Database): Promise<string[]> {
  const ran = await toLatest(db, 'worker');
  await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('steward.programs', 0))`.execute(trx);
    for (const program of loadPrograms()) await sql.raw(program.text).execute(trx);
  });
  return ran;
}

/**
 * Worker migrations this release has and the database does not (`missing`), and the other way round
 * (`unknown`: a newer release was here). A database without our schema misses all of them.
 */
export async function compareMigrations(db: Database): Promise<{ missing: string[]; unknown: string[] }> {
  const ours = Object.keys(await loadMigrations('worker'));
  const { rows: tables } =
    await sql`select 1 where to_regclass('steward_migrations.worker_migrations') is not null`.execute(db);
  if (tables.length === 0) return { missing: ours, unknown: [] };
  const { rows } = await sql<{ name: string }>`select name from steward_migrations.worker_migrations`.execute(db);
  const theirs = rows.map((row) => row.name);
  return {
    missing: ours.filter((name) => !theirs.includes(name)),
    unknown: theirs.filter((name) => !ours.includes(name)),
  };
}

/** Takes the newest worker migration back. For tests and roll-backs. */
export async function migrateDown(db: Database, prefix: 'app' | 'worker' = 'worker'): Promise<void> {
  const { error } = await migrator(db, prefix).migrateDown();
  if (error) throw new MigrationError(`Rolling back failed. ${String(error)}`, { cause: error });
}
