import { type Kysely, sql } from 'kysely';
import pg from 'pg';
import type { DB } from '../db/schema.ts';

const channel = 'steward_grant';
const reconnectAfterMs = 2_000;

/** Tells all processes that a grant changed, when the transaction commits. A hint: waiters poll as well. */
export async function notifyGrant(db: Kysely<DB>, grantId: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${grantId})`.execute(db);
}

export type Wake = {
  /** Resolves when the grant was said to have changed, after `ms` at the latest, or when the signal aborts. */
  wait(grantId: string, ms: number, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

/**
 * Waiting for a grant to change. With a `url`, LISTEN on a connection of its own, opened by the first waiter;
 * without one, or while that connection is down, polling alone does it: what is lost is only speed.
 */
export function createWake({ url }: { url?: string }): Wake {
  const waiting = new Map<string, Set<() => void>>();
  let client: pg.Client | undefined;
  let downSince = Number.NEGATIVE_INFINITY;
  let closed = false;

  function drop(lost: pg.Client): void {
    if (client !== lost) return;
    client = undefined;
    downSince = performance.now();
    lost.end().catch(() => {});
  }

  function listen(): void {
    if (url === undefined || closed || client || performance.now() - downSince < reconnectAfterMs) return;
    const opened = new pg.Client({ connectionString: url, application_name: 'zoom-steward grants', keepAlive: true });
    client = opened;
    opened.on('error', () => drop(opened));
    opened.on('end', () => drop(opened));
    opened.on('notification', ({ payload }) => {
      for (const wake of waiting.get(payload ?? '') ?? []) wake();
    });
    opened
      .connect()
      .then(() => opened.query(`listen ${channel}`))
      .catch(() => drop(opened));
  }

  return {
    async wait(grantId, ms, signal) {
      if (signal?.aborted) return;
      listen();
      const { promise, resolve } = Promise.withResolvers<void>();
      const others = waiting.get(grantId) ?? new Set();
      waiting.set(grantId, others.add(resolve));
      const timer = setTimeout(resolve, ms);
      const stop = (): void => resolve();
      signal?.addEventListener('abort', stop, { once: true });
      await promise;
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      others.delete(resolve);
      if (others.size === 0) waiting.delete(grantId);
    },

    async close() {
      closed = true;
      for (const wakers of waiting.values()) for (const wake of wakers) wake();
      const last = client;
      client = undefined;
      await last?.end().catch(() => {});
    },
  };
}
