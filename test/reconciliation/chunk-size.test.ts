import { expect, test } from 'vitest';
import { nextChunkSize } from '../../src/reconciliation/chunk-size.ts';

const settings = { chunkSize: 1_000, chunkMs: 300 };

test.each([
  ['as long as it may', 1_000, 300, 1_000],
  ['a little longer', 1_000, 400, 750],
  ['ten times as long: half at once, and half again', 1_000, 3_000, 500],
  ['a moment: half as much again, not more', 1_000, 1, 1_500],
  ['no measurable time', 1_000, 0, 1_500],
  ['too long at the smallest size', 500, 9_000, 500],
  ['a moment at the largest size', 10_000, 1, 10_000],
])('a chunk that took %s', (_, size, tookMs, next) => {
  expect(nextChunkSize(size, tookMs, settings)).toBe(next);
});

test('a chunk of one stays a chunk of one, and never of none', () => {
  expect(nextChunkSize(1, 60_000, { chunkSize: 1, chunkMs: 1 })).toBe(1);
});
