import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('docs/scenarios.md names every scenario, and no other', () => {
  const page = readFileSync('docs/scenarios.md', 'utf8');
  const named = page
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| case') && !line.startsWith('| ---'))
    .map((line) => line.split(' | ')[1] ?? '');
  const played = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.test.ts') && name !== 'page.test.ts')
    .flatMap((name) =>
      [...readFileSync(`${import.meta.dirname}/${name}`, 'utf8').matchAll(/^ {2}it\('(.+)', async/gm)].map(
        ([, title]) => `${name.replace('.test.ts', '')}: ${title}`,
      ),
    );
  expect([...new Set(named)].sort()).toEqual(played.sort());
});
