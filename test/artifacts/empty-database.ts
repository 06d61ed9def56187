import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import { createDatabase, type Database } from '../../src/db/database.ts';

/** A database with nothing in it, dropped at the end of the file. */
export function useEmptyDatabase(): () => { readonly db: Database; readonly url: string } {
  const name = `t_${randomUUID().replaceAll('-', '')}`;
  const asAdmin = async (text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: inject('postgresUrl') });
    await client.connect();
    await client.query(text).finally(() => client.end());
  };
  let made: { readonly db: Database; readonly url: string } | undefined;
  beforeAll(async () => {
    await asAdmin(`create database ${name} template template0`);
    const url = inject('postgresUrl').replace(/\/[^/]*$/, `/${name}`);
    made = { db: createDatabase({ url, max: 1 }), url };
  });
  afterAll(async () => {
    await made?.db.destroy();
    await asAdmin(`drop database if exists ${name} with (force)`);
  });
  return () => {
    if (!made) throw new Error('useEmptyDatabase: the database exists only inside tests and hooks');
    return made;
  };
}
