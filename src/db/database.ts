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
  /** how long connecting, or waiting for a connection of the pool, may take; smaller in tests */
  readonly connectTimeoutMs?: number;
};

/** A server that accepts and says nothing must not keep anybody for ever. */
const defaultConnectTimeoutMs = 20_000;
/** Whoever vanished inside a transaction must not hold its locks: none of ours waits for anything but the database. */
const idleInTransactionMs = 60_000;
/** Silent so long, the other side is asked whether it is still there; without an answer the connection fails. */
const keepAliveAfterMs = 10_000;

/**
 * A pool behind Kysely. The caller destroys it. There is no time-out on statements: how long a bulk chunk or a plan
 * takes is the job's to bound, and whoever cannot wait for an answer bounds its own waiting.
 */
export function createDatabase({
  url,
  max = 10,
  applicationName = 'zoom-steward',
  connectTimeoutMs = defaultConnectTimeoutMs,
}: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveAfterMs,
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
