import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { resultOf } from '../../bench/measure.ts';
import { type Measured, writePage } from '../../bench/page.ts';
import { plotCost } from '../../bench/plot.ts';

const home = mkdtempSync(join(tmpdir(), 'steward-page-'));
const directory = join(home, 'benchmarks');
mkdirSync(directory);
afterAll(() => rmSync(home, { recursive: true }));

const plan = (members: number, ours: number, limit: number): Measured => ({
  queue: 'postgres',
  at: '2026-01-02',
  load: 1.5,
  result: resultOf({
    work: 'plan',
    members,
    ours: { s: ours },
    limit: { s: limit },
    ratioToLimit: ours / limit,
    notes: 'a note',
  }),
});

const rowOf = (page: string, title: string): string =>
  page.split('\n').find((line) => line.startsWith(`| ${title}`)) ?? '';

test('a row is met, not met, met at a smaller size only, or not measured; what is written by hand stays', () => {
  const page = join(home, 'benchmarks.md');
  writePage(directory, [plan(1_000, 0.01, 0.01), plan(1_000_000, 3, 1)]);
  expect(rowOf(readFileSync(page, 'utf8'), 'plan without drift')).toMatch(/1,000,000: 3 × \| \*not met\* \|$/);
  expect(rowOf(readFileSync(page, 'utf8'), '`resolve` one member')).toMatch(/\| – \| \*not measured\* \|$/);
  writeFileSync(page, `${readFileSync(page, 'utf8')}\nNext: sums.\n`);
  writePage(directory, [plan(1_000, 0.01, 0.01)]);
  expect(rowOf(readFileSync(page, 'utf8'), 'plan without drift')).toMatch(/\| met at 1,000 only \|$/);
  writePage(directory, [plan(1_000, 0.01, 0.01), plan(1_000_000, 1.5, 1)]);
  expect(rowOf(readFileSync(page, 'utf8'), 'plan without drift')).toMatch(/1\.5 × \| met \|$/);
  expect(readFileSync(page, 'utf8')).toContain('Next: sums.');
  expect(readFileSync(join(directory, 'plan.svg'), 'utf8')).toContain('Plan without drift');
});

test('ten times the size and ten times the cost are one decade each, on both axes', () => {
  const svg = plotCost('Title', [
    {
      name: 'ours',
      points: [
        [1_000, 0.1],
        [10_000, 1],
        [100_000, 10],
      ],
    },
  ]);
  const points =
    /<polyline points="([^"]+)"/
      .exec(svg)?.[1]
      ?.split(' ')
      .map((point) => point.split(',').map(Number)) ?? [];
  const [[x0, y0], [x1, y1], [x2, y2]] = points as [[number, number], [number, number], [number, number]];
  expect(x1 - x0).toBeCloseTo(x2 - x1, 0);
  expect(y0 - y1).toBeCloseTo(y1 - y2, 0);
  expect(svg).toContain('>100,000</text>');
  expect(svg).toContain('>100 ms</text>');
});
