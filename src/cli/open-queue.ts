import { findFact } from '../db/installation-repository.ts';
import { StewardError } from '../errors.ts';
import type { RecordedQueue } from '../queues/migrate-all.ts';
import type { QueueSystem } from '../queues/queue.ts';
import { Secret } from '../secret.ts';
import { createTelemetry } from '../telemetry.ts';
import type { CliIo } from './cli-io.ts';
import type { OpenInstance } from './instance.ts';

/** The queue that this installation recorded, for commands that look into it. The caller closes it. */
export async function openQueue({ db, url }: OpenInstance, io: CliIo): Promise<QueueSystem> {
  const recorded = await findFact<RecordedQueue>(db, 'queue');
  if (!recorded)
    throw new StewardError('queue_unrecorded', 'No queue is recorded in the database; run "zoom-steward migrate".');
  const redisUrl = io.env('REDIS_URL');
  if (recorded.kind === 'redis' && redisUrl === undefined)
    throw new StewardError(
      'config_invalid',
      "REDIS_URL: expected the address of this installation's queue, got nothing.",
    );
  const { createQueue } = await import('../queues/create-queue.ts');
  return createQueue(
    {
      queue: recorded.kind,
      queuePrefix: recorded.prefix,
      databaseUrl: new Secret(url),
      redisUrl: redisUrl === undefined ? null : new Secret(redisUrl),
      concurrency: {},
    },
    { db, telemetry: createTelemetry() },
  );
}
