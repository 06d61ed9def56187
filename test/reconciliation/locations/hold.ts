import { sql, type Transaction } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { DB } from '../../../src/db/schema.ts';

/** Runs work in a transaction and holds it open until told; resolves `ready` when the work is done. */
export function hold<T>(db: Database, work: (trx: Transaction<DB>) => Promise<T>) {
  const ready = Promise.withResolvers<T>();
  const release = Promise.withResolvers<void>();
  const done = db.transaction().execute(async (trx) => {
    ready.resolve(await work(trx));
    await release.promise;
  });
  done.catch(ready.reject);
  return {
    ready: ready.promise,
    async commit() {
      release.resolve();
      await done;
    },
  };
}

/** Resolves once somebody in this database waits for a lock. */
export async function untilSomebodyWaits(db: Database): Promise<void> {
  for (;;) {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
    if (rows.length > 0) return;
  }
}
