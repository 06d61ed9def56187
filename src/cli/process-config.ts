import { type Config, loadConfig } from '../config.ts';
import { StewardError } from '../errors.ts';
import type { CliIo } from './cli-io.ts';

/** The whole configuration, for processes that stay; without a database one sentence instead of a list. */
export function processConfig(io: CliIo, command: string): Config {
  if (io.env('DATABASE_URL') === undefined)
    throw new StewardError(
      'no_database',
      `Expected DATABASE_URL, got nothing: zoom-steward ${command} works in the main app's database. Without one, try zoom-steward dev.`,
    );
  return loadConfig();
}
