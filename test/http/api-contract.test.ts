import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generatedPages, withRefusals } from '../../scripts/refusals/render.ts';
import { refusalStatus } from '../../src/http/gateway.ts';

const repository = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const page = read('docs/contracts/api.md');
const section = (title: string): string => page.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
const cells = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((row) => row.slice(1, -1));

const files = readdirSync(join(repository, 'src/http'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const routes = files.map((name) => read(`src/http/${name}`)).join('\n');

test('every call of the API is in the contract, and no other', () => {
  const made = [...routes.matchAll(/app\.(get|post|patch|delete)\('(\/v1\/[^']+)'/g)];
  const documented = cells(section('Calls')).map(([call]) => /^`([A-Z]+ \S+)`/.exec(call ?? '')?.[1]);
  expect(documented.sort()).toEqual(made.map(([, method, path]) => `${method?.toUpperCase()} ${path}`).sort());
});

test('every refusal is in the contract, with its status', () => {
  const documented = new Map(cells(section('Refusals')).map(([code, status]) => [code?.replaceAll('`', ''), status]));
  for (const [code, status] of Object.entries(refusalStatus)) expect(documented.get(code), code).toBe(String(status));
  const sources = ['api-routes', 'mapping-routes', 'personal-routes', 'service-keys', 'member-claims', 'gateway'].map(
    (name) => read(`src/http/${name}.ts`),
  );
  const thrown = [...sources.join('\n').matchAll(/new ApiError\(\s*(\d+),\s*'([a-z_]+)'/g)];
  expect(thrown.length).toBeGreaterThan(8);
  for (const [, status, code] of thrown) expect(documented.get(code), code).toBe(status);
});

test.each(generatedPages)('the refusals of meetings in %s are those of the code', (path) => {
  const text = read(path);
  expect(withRefusals(path, text), 'run: npm run docs:refusals').toBe(text);
  expect(withRefusals(path, text.replace('| `host_daily_limit`', '| `other`'))).toBe(text);
});

test('what the server points people to exists', () => {
  const named = [...read('src/http/gateway.ts').matchAll(/docs\/[\w./-]+\.md/g)].map(([path]) => path);
  expect(named).not.toEqual([]);
  for (const path of named) expect(read(path).length, path).toBeGreaterThan(0);
});
