/**
 * Makes one line of the engine's SQL wrong at a time and plays worlds against it: each mistake must be noticed.
 *   node scripts/mutations.ts            all of scripts/mutations/list.ts
 *   node scripts/mutations.ts --only 140 those of files whose name begins so
 * Exit 0: every mistake was noticed. 1: one survived, or the list is out of date. 2: unknown flag.
 */
import { parseArgs } from 'node:util';
import { sql } from 'kysely';
import { createDatabase } from '../src/db/database.ts';
import { migrate, migrateReferenceApp } from '../src/db/migrate.ts';
import { startTemporaryPostgres } from '../src/embedded/postgres.ts';
import { mutations } from './mutations/list.ts';
import { mutate, openMutationLab } from './mutations/try-mutation.ts';

/** Tried at once; each has a database of its own. Postgres and the oracle keep two cores busy. */
const lanes = 2;

const flags = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off', 'autovacuum_naptime=1h'].flatMap(
  (flag) => ['-c', flag],
);

async function main(only: string): Promise<number> {
  const wanted = mutations.filter(({ file }) => file.startsWith(only));
  for (const mutation of wanted) mutate(mutation);
  const server = await startTemporaryPostgres(flags);
  try {
    const template = createDatabase({ url: server.url('postgres'), max: 2 });
    await sql`create database worlds`.execute(template);
    await template.destroy();
    const db = createDatabase({ url: server.url('worlds'), max: 2 });
    await migrateReferenceApp(db);
    await migrate(db);
    await db.destroy();
    const lab = await openMutationLab(server.url('postgres'), 'worlds');
    const sound = await lab.attempt(null);
    if (sound.caught) {
      process.stderr.write(
        `mutations: the unchanged SQL already differs from the oracle: ${sound.by}; mend that first\n`,
      );
      return 1;
    }
    process.stdout.write(`unchanged SQL: no difference, ${(sound.ms / 1000).toFixed(1)} s\n`);
    let survived = 0;
    const waiting = wanted.values();
    const lane = async (): Promise<void> => {
      for (const mutation of waiting) {
        const { caught, by, ms } = await lab.attempt(mutation);
        if (!caught) survived++;
        const columns = [
          caught ? 'caught  ' : 'SURVIVED',
          `${(ms / 1000).toFixed(1)} s`.padStart(7),
          mutation.file.padEnd(26),
        ];
        process.stdout.write(`${columns.join('  ')}  ${mutation.why}${caught ? `  [${by}]` : ''}\n`);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    process.stdout.write(`${wanted.length - survived} of ${wanted.length} caught\n`);
    await lab.close();
    return survived === 0 ? 0 : 1;
  } finally {
    await server.stop();
  }
}

try {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
  process.exitCode = await main(values.only);
} catch (error) {
  process.stderr.write(`mutations: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
