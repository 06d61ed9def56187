import { expect, test } from 'vitest';
import { runCrashes } from './run-crashes.ts';

// The short form of `npm run crash`: one life, killed once in each stage.
test('a worker killed inside fan-out, cascade and restore leaves what an undisturbed one leaves', async () => {
  const report = await runCrashes({ kills: 3, seed: 11, members: 600, parallel: 1, killsAStage: 1, say: () => {} });
  expect(report.different).toEqual([]);
  expect(Object.keys(report.byStage).sort()).toEqual(['cascade', 'fan-out', 'restore']);
  expect(report.ok).toBe(true);
}, 240_000);
