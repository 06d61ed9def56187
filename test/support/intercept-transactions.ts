import type { AccessMode, IsolationLevel, Transaction } from 'kysely';
import type { Database } from '../../src/db/database.ts';
import type { DB } from '../../src/db/schema.ts';

/**
 * The same database; `before` is called before each transaction and `after` behind its commit. What they throw the
 * caller gets, and what they wait for it waits for.
 */
export function interceptTransactions(
  db: Database,
  { before, after }: { readonly before?: () => unknown; readonly after?: () => unknown },
): Database {
  const transaction = (builder = db.transaction()) => ({
    setIsolationLevel: (level: IsolationLevel) => transaction(builder.setIsolationLevel(level)),
    setAccessMode: (mode: AccessMode) => transaction(builder.setAccessMode(mode)),
    async execute<T>(work: (trx: Transaction<DB>) => Promise<T>): Promise<T> {
      await before?.();
      const value = await builder.execute(work);
      await after?.();
      return value;
    },
  });
  return new Proxy(db, {
    get(target, name) {
      if (name === 'transaction') return transaction;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
