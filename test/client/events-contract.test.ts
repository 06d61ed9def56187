import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventTypes, parseEventBatch } from '../../src/client/events.ts';
import { transitions } from '../../src/connections/transitions.ts';

const repository = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');

test('every type of event is in the contract and in the client', () => {
  const page = read('docs/contracts/events.md').split('\n## Types\n')[1] ?? '';
  const documented = [...page.matchAll(/^\| `([a-z_]+\.[a-z_]+)` \|/gm)].map(([, type]) => type);
  expect(documented).toEqual([...eventTypes]);
});

test('whatever is told is a type of the contract', () => {
  const sources = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /^(connections|grants|reconciliation|jobs|db)\/.*\.(ts|sql)$/.test(name))
    .map((name) => read(`src/${name}`))
    .filter((text) => /insertEvent\(|insert into steward\.events/.test(text));
  expect(sources.length).toBeGreaterThan(10);
  const said = sources.flatMap((text) =>
    [...text.matchAll(/\btype(?:: | = )[^\n;]*|^\s*select [^\n]*, 'connection\.[a-z_]+'[^\n]*/gm)].flatMap(([line]) =>
      [...line.matchAll(/'([a-z_]+\.[a-z_]+)'/g)].map(([, type]) => type),
    ),
  );
  const told = Object.values(transitions).flatMap(({ tells }) => (tells ? [tells.type] : []));
  expect(said.length).toBeGreaterThan(10);
  expect([...new Set([...said, ...told])].filter((type) => !eventTypes.includes(type as never))).toEqual([]);
});

test('a batch that is not understood fails, and says why', () => {
  const event = { position: 1, organizationId: 'o', type: 'run.finished', subjectId: null, data: {}, at: '2030-01-01' };
  expect(parseEventBatch({ version: 1, organizationId: 'o', events: [event] }).events).toEqual([event]);
  expect(() => parseEventBatch({ version: 2, organizationId: 'o', events: [] })).toThrow(/version 1, got 2/);
  for (const bad of [null, {}, { version: 1, organizationId: 'o', events: [{ ...event, position: '1' }] }])
    expect(() => parseEventBatch(bad)).toThrow(/Expected a batch/);
});
