import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { loadPrograms } from '../../src/db/migrate.ts';
import { createQuickWorlds } from '../../test/reconciliation/worlds/quick-worlds.ts';
import type { Mutation } from './list.ts';

export type Verdict = {
  readonly caught: boolean /** first line of what noticed it */;
  readonly by: string;
  readonly ms: number;
};

/** The text of a mutated file. Refuses a mutation whose line is not there exactly once. */
export function mutate({ file, find, replace }: Mutation): string {
  const program = loadPrograms().find(({ name }) => name === file);
  if (!program) throw new Error(`mutation of ${file}: no such file in src/db/sql; correct scripts/mutations/list.ts`);
  const count = program.text.split(find).length - 1;
  if (count !== 1)
    throw new Error(
      `mutation of ${file}: expected "${find}" exactly once, found it ${count} times; correct scripts/mutations/list.ts`,
    );
  return program.text.replace(find, () => replace);
}

export type MutationLab = {
  /** Plays the worlds with one mutation, or with none. */
  attempt(mutation: Mutation | null): Promise<Verdict>;
  close(): Promise<void>;
};

/** Worlds written once into a copy of `template`; every attempt gets a database of its own. `url` names a database of that server. */
export async function openMutationLab(url: string, template: string): Promise<MutationLab> {
  const worlds = createQuickWorlds();
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const open = (name: string): Database => createDatabase({ url: url.replace(/\/[^/]*$/, `/${name}`), max: 4 });
  const name = () => `mutation_${randomUUID().replaceAll('-', '')}`;
  const written = name();
  await admin.query(`create database ${written} template ${template}`);
  const first = open(written);
  await worlds.write(first);
  await first.destroy();

  return {
    async attempt(mutation) {
      const began = performance.now();
      const text = mutation && mutate(mutation);
      const copy = name();
      await admin.query(`create database ${copy} template ${written}`);
      const db = open(copy);
      try {
        if (text) await sql.raw(text).execute(db);
        const by = await noticed(() => worlds.play(db));
        return { caught: by !== null, by: by ?? '', ms: performance.now() - began };
      } finally {
        await db.destroy();
        await admin.query(`drop database ${copy} with (force)`);
      }
    },
    async close() {
      await admin.query(`drop database if exists ${written} with (force)`);
      await admin.end();
    },
  };
}

/** What noticed a mistake: a difference, or a statement that failed on it. */
async function noticed(play: () => Promise<readonly string[]>): Promise<string | null> {
  try {
    const [first] = await play();
    return first?.split('\n')[0] ?? null;
  } catch (error) {
    return error instanceof pg.DatabaseError ? `error: ${error.message}` : Promise.reject(error);
  }
}
