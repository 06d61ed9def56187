import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { watchRows, watchStatements } from './canary/watch-postgres.ts';

watchStatements();

export type TestDatabase = {
  /** a fresh migrated database, reference app included */
  readonly db: Database;
  readonly url: string;
  /** another pool on the same database, e.g. to play a second process; closed with the file */
  another(max?: number): Database;
};

async function asAdmin(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** A database for this test file, copied from the migrated template and dropped at the end. */
export function useDatabase({ max = 10 }: { max?: number } = {}): TestDatabase {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  const pools: Database[] = [];
  let url = '';
  const open = (size: number): Database => {
    const db = createDatabase({ url, max: size });
    pools.push(db);
    return db;
  };
  let db: Database | undefined;
  beforeAll(async () => {
    await asAdmin((client) => client.query(`create database ${name} template steward_template strategy file_copy`));
    url = inject('postgresUrl').replace(/\/[^/]*$/, `/${name}`);
    db = open(max);
  });
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.destroy()));
    await watchRows(url);
    await asAdmin((client) => client.query(`drop database if exists ${name} with (force)`));
  });
  return {
    get db() {
      if (!db)
        throw new Error('useDatabase: the database exists only from beforeAll on; read .db inside a test or hook');
      return db;
    },
    get url() {
      return url;
    },
    another: (size = 4) => open(size),
  };
}
