import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { createDatabase } from '../../src/db/database.ts';
import { migrate, migrateReferenceApp } from '../../src/db/migrate.ts';
import { type EmbeddedPostgresServer, startTemporaryPostgres } from '../../src/embedded/postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string;
  }
}

async function makeTemplate(server: EmbeddedPostgresServer): Promise<void> {
  const admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  await admin.query('create database steward_template');
  await admin.end();
  const template = createDatabase({ url: server.url('steward_template'), max: 2 });
  try {
    await migrateReferenceApp(template);
    await migrate(template);
  } finally {
    await template.destroy();
  }
}

/** Starts one Postgres for the test run and makes the template that every test file copies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTemporaryPostgres([
    '-c',
    'fsync=off',
    '-c',
    'full_page_writes=off',
    '-c',
    'synchronous_commit=off',
    '-c',
    'max_connections=300',
    '-c',
    'shared_buffers=128MB',
    '-c',
    'autovacuum_naptime=1h',
  ]);
  try {
    await makeTemplate(server);
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide('postgresUrl', server.url());
  return () => server.stop();
}
