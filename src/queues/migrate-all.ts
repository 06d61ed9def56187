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
  if (recorded) compareQueue(recorded, { queue, queuePrefix });
  const queueSchema = queue === 'postgres' ? await migratePostgresQueue(databaseUrl) : null;
  await upsertFact(db, 'queue', { kind: queue, prefix: queuePrefix } satisfies RecordedQueue);
  await upsertFact(db, 'programs', programsFingerprint());
  const id = (await findFact<string>(db, 'id')) ?? randomUUID();
  await upsertFact(db, 'id', id);
  return { ran, queueSchema, id };
}

export type RecordedQueue = {
  readonly kind: 'postgres' | 'redis';
  readonly prefix: string;
  /** a move has begun and not ended: something may still wait there */
  readonly movingFrom?: 'postgres' | 'redis';
};

/**
 * Compares the queue of the installation with the one that a process is configured for.
 * @throws StewardError `queue_differs`, `queue_move_unfinished`
 */
export function compareQueue(
  { kind, prefix, movingFrom }: RecordedQueue,
  { queue, queuePrefix }: { readonly queue: string; readonly queuePrefix: string },
): void {
  if (kind !== queue)
    throw new StewardError(
      'queue_differs',
      `This installation's queue is ${kind}, and STEWARD_QUEUE says ${queue}: set it to ${kind}, because jobs waiting in the other queue would never run; "zoom-steward queues move" changes it.`,
      { context: { recorded: kind, configured: queue } },
    );
  if (movingFrom !== undefined)
    throw new StewardError(
      'queue_move_unfinished',
      `The queue is being moved from ${movingFrom} to ${kind}, and what waits in the old one was not carried over; run "zoom-steward queues move --to ${kind}" again.`,
    );
  if (prefix !== queuePrefix)
    throw new StewardError(
      'queue_differs',
      `This installation's queues begin with "${prefix}", and STEWARD_QUEUE_PREFIX says "${queuePrefix}": set it to "${prefix}".`,
    );
}
