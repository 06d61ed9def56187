import type { Database } from '../db/database.ts';
import { findFact, programsFingerprint } from '../db/installation-repository.ts';
import { compareMigrations } from '../db/migrate.ts';
import { StewardError } from '../errors.ts';
import { readKeyUse } from '../grants/key-use.ts';
import type { Vault, VaultPlace } from '../grants/vault.ts';
import type { Logger } from '../logger.ts';
import { Secret } from '../secret.ts';
import { compareQueue, type RecordedQueue } from './migrate-all.ts';
import type { QueueSystem } from './queue.ts';

const refuse = (code: string, sentence: string, context: Record<string, string | number> = {}): never => {
  throw new StewardError(code, sentence, { context });
};

/** The schema is this release's: not older, not newer, functions included. */
export async function checkSchema(db: Database): Promise<void> {
  const { missing, unknown } = await compareMigrations(db);
  if (unknown.length > 0)
    refuse('schema_newer', `The database was migrated by a newer release (${unknown.join(', ')}); start that release.`);
  if (missing.length > 0)
    refuse('schema_older', `The database lacks ${missing.join(', ')}; run "zoom-steward migrate".`, {
      missing: missing.length,
    });
  if ((await findFact<string>(db, 'programs')) !== programsFingerprint())
    refuse(
      'programs_differ',
      `The database's functions are of another release; run "zoom-steward migrate" with this one.`,
    );
}

/** The installation's queue is the one this process is configured for. */
export async function checkQueueChoice(
  db: Database,
  { queue, queuePrefix }: { queue: string; queuePrefix: string },
): Promise<void> {
  const recorded = await findFact<RecordedQueue>(db, 'queue');
  if (!recorded) return refuse('queue_unrecorded', 'No queue is recorded in the database; run "zoom-steward migrate".');
  compareQueue(recorded, { queue, queuePrefix });
}

const oldestPostgresMajor = 15;

/** The queue's server answers, and Redis throws nothing away on its own. */
export async function checkQueueServer(
  queue: QueueSystem,
  { mode, log }: { mode: string; log: Logger },
): Promise<void> {
  const server = await queue.server().catch((error: unknown) => {
    if (error instanceof StewardError) throw error;
    throw new StewardError('queue_away', `The queue's ${queue.kind} does not answer; start it, or correct its URL.`, {
      cause: error,
    });
  });
  if (queue.kind === 'postgres') {
    if (Number.parseInt(server.version, 10) < oldestPostgresMajor)
      refuse(
        'postgres_too_old',
        `Expected Postgres ${oldestPostgresMajor} or newer, got ${server.version}; upgrade it.`,
      );
    return;
  }
  if (server.evictionPolicy === 'noeviction') return;
  const sentence = `Redis has maxmemory-policy ${server.evictionPolicy}, which can throw locks and jobs away; set it to noeviction.`;
  if (mode === 'production') refuse('redis_evicts', sentence);
  log.warn(
    { evictionPolicy: server.evictionPolicy },
    'Redis may throw locks and jobs away; set maxmemory-policy to noeviction',
  );
}

const connectionsForTheProcess = 2;

/** Every job at once finds a connection in the pool, and the relay and the tick too. */
export function checkPool({
  poolSize,
  concurrency,
}: {
  poolSize: number;
  concurrency: Readonly<Record<string, number>>;
}): void {
  const jobs = Object.values(concurrency).reduce((sum, count) => sum + count, 0);
  if (poolSize < jobs + connectionsForTheProcess)
    refuse(
      'pool_too_small',
      `STEWARD_POOL_SIZE is ${poolSize}, and ${jobs} jobs at once need ${jobs + connectionsForTheProcess}; raise it or lower STEWARD_CONCURRENCY_….`,
      { poolSize, jobs },
    );
}

/** The active key seals and opens, and every key in use is in the ring. */
export async function checkKeys(db: Database, vault: Vault): Promise<void> {
  const place: VaultPlace = {
    table: 'grants',
    column: 'sealed_access',
    id: 'preflight',
    clientId: 'preflight',
    version: 0,
  };
  const opened = vault.open(vault.seal(new Secret('preflight'), place), place);
  if (!opened.ok || opened.secret.reveal() !== 'preflight')
    refuse('key_unusable', `The key "${vault.activeKeyId}" does not open what it sealed; check STEWARD_KEYS.`);
  const lacking = (await readKeyUse(db)).find(({ keyId }) => !vault.keyIds.includes(keyId));
  if (lacking)
    refuse(
      'key_missing',
      `Key "${lacking.keyId}" seals ${lacking.grants} grants and ${lacking.candidates + lacking.attempts} consents under way, and is not in STEWARD_KEYS; add it, nothing can be opened without it. Lost for good: zoom-steward keys abandon.`,
    );
}
