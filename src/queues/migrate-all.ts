import { randomUUID } from 'node:crypto';
import type { Database } from '../db/database.ts';
import { findFact, programsFingerprint, upsertFact } from '../db/installation-repository.ts';
import { migrate } from '../db/migrate.ts';
import { StewardError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { migratePostgresQueue } from './postgres-backend.ts';

export type Installation = {
  /** names of migrations that ran now */
  readonly ran: readonly string[];
  /** version of the queue's own schema; null on Redis */
  readonly queueSchema: number | null;
  /** id of this installation, for ever */
  readonly id: string;
};

/**
 * Brings the database to this release: our schema, functions and views, the queue's own schema, and the
 * choice of the queue, which every process compares with its own. Running it again changes nothing.
 * @throws StewardError `queue_differs` when the installation has another queue
 */
export async function migrateAll(
  db: Database,
  {
    databaseUrl,
    queue,
    queuePrefix,
  }: { readonly databaseUrl: Secret; readonly queue: 'postgres' | 'redis'; readonly queuePrefix: string },
): Promise<Installation> {
  const ran = await migrate(db);
  const recorded = await findFact<RecordedQueue>(db, 'queue');
  if (recorded && recorded.kind !== queue) throw queueDiffers(recorded.kind, queue);
  const queueSchema = queue === 'postgres' ? await migratePostgresQueue(databaseUrl) : null;
  await upsertFact(db, 'queue', { kind: queue, prefix: queuePrefix } satisfies RecordedQueue);
  await upsertFact(db, 'programs', programsFingerprint());
  const id = (await findFact<string>(db, 'id')) ?? randomUUID();
  await upsertFact(db, 'id', id);
  return { ran, queueSchema, id };
}

export type RecordedQueue = { readonly kind: 'postgres' | 'redis'; readonly prefix: string };

/** The one sentence for a process whose queue is not the installation's. */
export function queueDiffers(recorded: string, configured: string): StewardError {
  return new StewardError(
    'queue_differs',
    `This installation's queue is ${recorded}, and STEWARD_QUEUE says ${configured}: set it to ${recorded}, because jobs waiting in the other queue would never run.`,
    { context: { recorded, configured } },
  );
}
