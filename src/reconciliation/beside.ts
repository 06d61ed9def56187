import { type Kysely, sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';

/** Pools of which somebody has a second connection here: no more than one at a time. */
const taken = new WeakSet<Database>();

/** Who finds no connection by then does without: it is not what a plan waits for. */
const defaultPatienceMs = 250;

/**
 * Begins this on another connection of the pool, in the snapshot of a transaction that is under way; undefined if no connection
 * is to be had at once. Nobody waits for the pool with a connection in their hands, so plans cannot wait for each other. The
 * snapshot is imported when this resolves: from then on neither transaction needs the other.
 */
export async function beginBeside<T>(
  db: Database,
  { snapshotOf, patienceMs = defaultPatienceMs }: { readonly snapshotOf: Kysely<DB>; readonly patienceMs?: number },
  work: (trx: Kysely<DB>) => Promise<T>,
): Promise<{ readonly result: Promise<T> } | undefined> {
  if (taken.has(db)) return undefined;
  taken.add(db);
  let state: 'waits' | 'works' | 'late' = 'waits';
  let decide = (): void => {};
  const decided = new Promise<void>((resolve) => {
    decide = resolve;
  });
  const exported = sql<{ id: string }>`select pg_export_snapshot() as id`.execute(snapshotOf);
  const result = exported
    .then(({ rows }) =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute(async (trx) => {
          if (state === 'waits')
            await sql`set transaction snapshot ${sql.lit((rows[0] as { id: string }).id)}`.execute(trx);
          if (state !== 'waits') throw new Error('Came too late to work beside');
          state = 'works';
          decide();
          return work(trx);
        }),
    )
    .finally(() => taken.delete(db));
  result.catch(decide);
  await exported;
  const timer = setTimeout(() => {
    if (state === 'waits') state = 'late';
    decide();
  }, patienceMs);
  await decided;
  clearTimeout(timer);
  return (state as string) === 'works' ? { result } : undefined;
}
