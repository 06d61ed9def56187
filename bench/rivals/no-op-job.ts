import { randomUUID } from 'node:crypto';
import { createPostgresBackend, Queue, Worker, withBackend } from 'bullmq';

/** Milliseconds from adding a BullMQ job to its handler's start, one at a time on an idle worker. */
export async function measureNoOpJobs(
  { databaseUrl, redisUrl }: { readonly databaseUrl: string; readonly redisUrl?: string },
  jobs: number,
): Promise<number[]> {
  const classes = (redisUrl ? { Queue, Worker } : withBackend(createPostgresBackend)) as {
    Queue: typeof Queue;
    Worker: typeof Worker;
  };
  const connection = redisUrl
    ? { url: redisUrl, maxRetriesPerRequest: null }
    : { connectionString: databaseUrl, schema: 'rival_bullmq', migrate: true };
  // biome-ignore lint/suspicious/noExplicitAny: the two backends have different option types
  const options = { connection: connection as any };
  const name = `no-op-${randomUUID()}`;
  const queue = new classes.Queue(name, options);
  queue.on('error', () => {});
  let started: () => void = () => {};
  const worker = new classes.Worker(name, async () => started(), options);
  worker.on('error', () => {});
  await worker.waitUntilReady();
  const took: number[] = [];
  for (let job = 0; job < jobs; job += 1) {
    const begin = performance.now();
    const handled = new Promise<void>((resolve) => {
      started = resolve;
    });
    await queue.add('no-op', {}, { removeOnComplete: true });
    await handled;
    took.push(performance.now() - begin);
  }
  await worker.close();
  await queue.close();
  return took;
}
