/**
 * Writes the tables of meeting refusals in the docs from src/client/meeting-refusals.ts, from which server and client
 * take them too. A test compares them.
 *   npm run docs:refusals
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedPages, withRefusals } from './refusals/render.ts';

for (const page of generatedPages) {
  const path = join(import.meta.dirname, '..', page);
  writeFileSync(path, withRefusals(page, readFileSync(path, 'utf8')));
}
