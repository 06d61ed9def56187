import { createPostgresBackend, runMigrations } from 'bullmq';
import pg from 'pg';
import type { Secret } from '../secret.ts';
import type { Backend } from './bullmq-queue.ts';

/** The queue's own schema, beside ours. */
const queueSchema = 'bullmq';

const listenersOfWorkers = 3;
const spare = 3;

/**
 * The queue on Postgres. One pool for producers and workers of a process; each worker keeps one of its
 * connections for LISTEN.
 */
export function createPostgresQueueBackend({ url, concurrency }: { url: Secret; concurrency: number }): Backend {
  const pool = new pg.Pool({
    connectionString: url.reveal(),
    max: concurrency + listenersOfWorkers + spare,
    application_name: 'zoom-steward-queue',
    options: `-c search_path=${queueSchema}`,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 10_000,
  });
  pool.on('error', () => {});
  // One that is cut while it is in use must not end the process either: the pool does not listen to those.
  pool.on('connect', (client) => client.on('error', () => {}));
  // Each queue and worker listens to the pool's errors; that is no leak.
  pool.setMaxListeners(50);
  return {
    kind: 'postgres',
    producer: pool,
    consumer: pool,
    factory: createPostgresBackend as never,
    keyPrefix: undefined,
    async server() {
      const { rows } = await pool.query<{ version: string }>(`select current_setting('server_version') as version`);
      return { version: rows[0]?.version ?? '', runId: null, evictionPolicy: null };
    },
    cut: () => {},
    close: () => pool.end(),
  };
}

/**
 * Rights on the queue's schema (see 900-roles.sql). Workers also `create`, because BullMQ makes a sequence for each queue
 * when its first job comes. BullMQ's tables hold all queues: who works on the events there sees the ids in other jobs too.
 */
const rights = `do $rights$ begin
  if exists (select from pg_roles where rolname = 'steward_worker') then
    grant usage, create on schema ${queueSchema} to steward_worker;
    grant select, insert, update, delete on all tables in schema ${queueSchema} to steward_worker;
    grant usage, select, update on all sequences in schema ${queueSchema} to steward_worker;
    grant execute on all functions in schema ${queueSchema} to steward_worker;
    alter default privileges in schema ${queueSchema} grant usage, select, update on sequences to steward_worker;
  end if;
  if exists (select from pg_roles where rolname = 'steward_events') then
    grant usage on schema ${queueSchema} to steward_events;
    grant select, insert, update, delete on all tables in schema ${queueSchema} to steward_events;
    grant usage, select, update on all sequences in schema ${queueSchema} to steward_events;
    grant execute on all functions in schema ${queueSchema} to steward_events;
    alter default privileges in schema ${queueSchema} grant usage, select, update on sequences to steward_events;
  end if;
end $rights$`;

/** Brings the queue's schema up to date, under BullMQ's own lock. @returns its version */
export async function migratePostgresQueue(url: Secret): Promise<number> {
  const client = new pg.Client({ connectionString: url.reveal(), application_name: 'zoom-steward-migrate' });
  await client.connect();
  try {
    const version = await runMigrations(client, queueSchema);
    // One at a time: two grants on the same table at once fail with "tuple concurrently updated".
    await client.query(
      `begin; select pg_advisory_xact_lock(hashtextextended('steward.queue_rights', 0)); ${rights}; commit`,
    );
    return version;
  } finally {
    await client.end();
  }
}
