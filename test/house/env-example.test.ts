import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configVariables } from '../../src/config.ts';

const repository = join(import.meta.dirname, '../..');
const named = (file: string, pattern: RegExp): string[] =>
  [...readFileSync(join(repository, file), 'utf8').matchAll(pattern)].map((match) => match[1] as string);

test('.env.example names every variable that config.ts reads, and no other', () => {
  expect(named('.env.example', /^#?([A-Z][A-Z_]+)=/gm).sort()).toEqual([...configVariables].sort());
});

test('docker-compose.yml sets only variables that config.ts reads', () => {
  const set = named('docker-compose.yml', /^ {6}((?:STEWARD|ZOOM|DATABASE|REDIS)_[A-Z_]+):/gm);
  expect(set).toContain('DATABASE_URL');
  expect(set.filter((name) => !configVariables.includes(name))).toEqual([]);
});
