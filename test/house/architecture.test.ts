import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mayImport } from '../../scripts/layers/rules.ts';

const repository = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const page = read('docs/architecture.md');

test('every race names a test that exists, by file and title', () => {
  const cited = [...page.matchAll(/`(test\/[\w./-]+\.ts)` "([^"]+)"/g)];
  expect(cited.length).toBeGreaterThan(40);
  const missing = cited.filter(
    ([, file = '', title = '']) => !existsSync(join(repository, file)) || !read(file).includes(title),
  );
  expect(missing.map(([text]) => text)).toEqual([]);
});

test('every layer of the check is in the picture of the house', () => {
  const drawn = [...page.matchAll(/^\| `src\/([a-z]+)(?:\.ts)?` \|/gm)].map(([, name]) => name);
  expect([...drawn, 'base'].sort()).toEqual(Object.keys(mayImport).sort());
});

test('links between pages lead somewhere', () => {
  const broken = ['README.md', 'docs/architecture.md', 'docs/contracts/triggers.md', 'CHANGELOG.md'].flatMap((from) =>
    [...read(from).matchAll(/\]\(((?!https?:)[^)#]+)(?:#[\w-]+)?\)/g)]
      .map(([, to = '']) => join(from, '..', to))
      .filter((to) => !existsSync(join(repository, to)))
      .map((to) => `${from} → ${to}`),
  );
  expect(broken).toEqual([]);
});
