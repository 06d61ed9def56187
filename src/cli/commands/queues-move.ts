import { Option } from 'commander';
import { findFact } from '../../db/installation-repository.ts';
import { StewardError } from '../../errors.ts';
import { createLogger } from '../../logger.ts';
import type { RecordedQueue } from '../../queues/migrate-all.ts';
import { Secret } from '../../secret.ts';
import { createTelemetry } from '../../telemetry.ts';
import { defineCommand } from '../define-command.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { counted } from '../text-table.ts';

type Options = WritingOptions & { readonly to: 'postgres' | 'redis'; readonly abandon?: boolean };

/** `queues move --to redis | postgres` */
export const queuesMove = defineCommand<Options>({
  name: 'move',
  summary: 'carry the queue from Postgres to Redis, or back, while no worker runs',
  details: `Records the other queue for this installation and says again, through the outbox, whatever waits in the old one. Stop
every worker first: it is refused while one lives. The server may go on, it only writes to Postgres. Nothing is lost if
it dies half-way: run it again. REDIS_URL names the Redis, on whichever side it is. Afterwards start workers with
STEWARD_QUEUE set to the new queue; a worker of the old one refuses to start.`,
  examples: [
    'queues move --to redis --reason "second machine"',
    'queues move --to postgres --reason "Redis is given up"',
    'queues move --to postgres --abandon --reason "Redis is gone"',
  ],
  options: [
    new Option('--to <kind>', 'the queue to have').choices(['postgres', 'redis']).makeOptionMandatory(),
    new Option('--abandon', 'the old queue is gone: rebuild what it owed by looking at every organization'),
    ...writingOptions(),
  ],
  async action(context) {
    const { io, open, options, print } = context;
    const { to, abandon = false } = options;
    const { operator, reason } = await askWhy(context);
    const { db, url } = await open();
    const recorded = await findFact<RecordedQueue>(db, 'queue');
    const redisUrl = io.env('REDIS_URL');
    if (redisUrl === undefined && !(to === 'postgres' && abandon))
      throw new StewardError(
        'config_invalid',
        'REDIS_URL: expected the address of the Redis of one side, got nothing.',
      );
    const { createQueue } = await import('../../queues/create-queue.ts');
    const { moveQueue } = await import('../../queues/move-queue.ts');
    const { migratePostgresQueue } = await import('../../queues/postgres-backend.ts');
    const { checkQueueServer } = await import('../../queues/preflight.ts');
    const queueOn = (queue: 'postgres' | 'redis') =>
      createQueue(
        {
          queue,
          queuePrefix: recorded?.prefix ?? '',
          databaseUrl: new Secret(url),
          redisUrl: redisUrl === undefined ? null : new Secret(redisUrl),
          concurrency: {},
        },
        { db, telemetry: createTelemetry() },
      );
    const old = abandon ? null : queueOn(to === 'redis' ? 'postgres' : 'redis');
    const fresh = queueOn(to);
    try {
      const moved = await moveQueue(db, {
        to,
        from: old,
        prepare: async () => {
          if (to === 'postgres') await migratePostgresQueue(new Secret(url));
          await checkQueueServer(fresh, { mode: 'production', log: createLogger({ level: 'silent' }) });
        },
        actor: `operator:${operator}`,
        reason,
      });
      print.answer({ moved: moved !== null, ...moved, to }, () =>
        moved === null
          ? `The queue is on ${to} already; nothing changed.`
          : `The queue is on ${to}: ${counted(moved.carried, 'job')} carried over, ${moved.rebuilt} owed anew.`,
      );
      if (moved === null) return;
      if (moved.deadLetters > 0)
        print.note(
          `${counted(moved.deadLetters, 'dead letter')} stayed in the old queue; they are seen again after moving back.`,
        );
      print.note(`Start every worker with STEWARD_QUEUE=${to}${to === 'redis' ? ' and REDIS_URL' : ''}.`);
      print.note(`To undo: zoom-steward queues move --to ${moved.from}`);
    } finally {
      await Promise.all([old?.close(), fresh.close()]);
    }
  },
});
