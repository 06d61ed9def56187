import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { DB } from './schema.ts';

/** The worker's view of the database. Functions that lock take a `Transaction<DB>` instead. */
export type Database = Kysely<DB>;

// Counts and generations are far below 2^53; strings would only spread conversions.
const int8 = 20;

export type DatabaseOptions = {
  /** postgres:// URL */
  readonly url: string;
  /** connections at most */
  readonly max?: number;
  readonly applicationName?: string;
};

/** A pool behind Kysely. The caller destroys it. */
export function createDatabase({ url, max = 10, applicationName = 'zoom-steward' }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: applicationName,
    types: {
      getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
        oid === int8 && format !== 'binary'
          ? (text: string) => Number(text)
          : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  });
  // An idle client that loses its server must not end the process; the next query reports it.
  pool.on('error', () => {});
  // The same for one that is cut while a transaction has it: the pool does not listen to those.
  pool.on('connect', (client) => client.on('error', () => {}));
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
}
