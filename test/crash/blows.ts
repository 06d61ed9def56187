import type { BenchWorker } from '../../bench/worker.ts';
import type { Database } from '../../src/db/database.ts';
import type { EmbeddedPostgresServer } from '../../src/embedded/postgres.ts';
import { type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { wipeQueue } from '../queues/wipe-queue.ts';

/** What is done to a life in the middle of a run. */
export const blowNames = ['kill', 'wipe', 'restart-postgres', 'restart-redis'] as const;
export type BlowName = (typeof blowNames)[number];

export type Blow = {
  readonly name: BlowName;
  /** milliseconds between two looks for due work; the sweeper is among it */
  readonly tickMs: number;
  strike(life: { readonly worker: BenchWorker; readonly db: Database }): Promise<void>;
};

/** Servers that lives share; a restart puts another Redis in the place of the first. */
export type Servers = { readonly postgres: EmbeddedPostgresServer; redis: PrivateRedis | undefined };

// Off, so that a kill or a restart shows what the queue itself does, and no upkeep comes between a cascade and a restore;
// on, where the queue has lost what it had.
const noTickMs = 600_000;
const tickMs = 1_000;

/** The blow of this name, on these servers. */
export function createBlow(name: BlowName, servers: Servers): Blow {
  switch (name) {
    case 'kill':
      return { name, tickMs: noTickMs, strike: ({ worker }) => worker.kill() };
    case 'wipe':
      return { name, tickMs, strike: ({ db }) => wipeQueue(db, servers.redis?.url ?? null) };
    case 'restart-postgres':
      return { name, tickMs: noTickMs, strike: () => servers.postgres.restart() };
    case 'restart-redis':
      return {
        name,
        tickMs,
        async strike() {
          if (!servers.redis) throw new Error('--blow restart-redis: expected --queue redis');
          const port = Number(new URL(servers.redis.url).port);
          await servers.redis.kill();
          servers.redis = await startPrivateRedis({ port });
        },
      };
    default:
      return name satisfies never;
  }
}
