import { createDatabase, type Database } from '../db/database.ts';
import { findInstance } from '../embedded/instance.ts';
import { StewardError } from '../errors.ts';
import type { CliIo } from './cli-io.ts';

/** The installation that a command works on. */
export type OpenInstance = {
  readonly db: Database;
  /** postgres:// URL, for a second connection */
  readonly url: string;
  /** where people reach the server, without a slash at the end */
  readonly publicUrl: string;
  readonly kind: 'configured' | 'dev';
  close(): Promise<void>;
};

const defaultPublicUrl = 'http://127.0.0.1:4000';

async function locate(io: CliIo): Promise<Pick<OpenInstance, 'url' | 'publicUrl' | 'kind'>> {
  const url = io.env('DATABASE_URL');
  const publicUrl = io.env('STEWARD_PUBLIC_URL');
  if (url !== undefined) return { url, kind: 'configured', publicUrl: publicUrl ?? defaultPublicUrl };
  const running = await findInstance();
  if (running)
    return { url: running.url, kind: 'dev', publicUrl: publicUrl ?? running.more['publicUrl'] ?? defaultPublicUrl };
  throw new StewardError(
    'no_database',
    'Expected DATABASE_URL or a running "zoom-steward dev", found neither; set the one or start the other.',
  );
}

/** The installation of DATABASE_URL; without it the `dev` that runs in this directory; without either one sentence. */
export async function openInstance(io: CliIo): Promise<OpenInstance> {
  const found = await locate(io);
  const db = createDatabase({ url: found.url, max: 4, applicationName: 'zoom-steward-cli' });
  return { ...found, publicUrl: found.publicUrl.replace(/\/+$/, ''), db, close: () => db.destroy() };
}
