import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { playWalk } from './play-walk.ts';

// The short form of "npm run directory": simulated pauses, real calls, limits of a Business account.
const [quiet, faulty] = [useDatabase(), useDatabase()];

test('a walk takes its share: no limit is reached, no call is wasted, nobody waits', async () => {
  const report = await playWalk({ url: quiet.url, users: 6_000, faults: 0, simulated: true });
  expect(report).toMatchObject({ equal: true, rateLimited: 0, pages: 21 });
  expect(report.calls).toBeLessThanOrEqual(report.pages + 3);
  expect(report.interactiveCalls).toBeGreaterThan(0);
  // 100,000 users within two minutes is 1.2 ms for each.
  expect(report.seconds / report.users).toBeLessThan(0.0012);
});

test('with one call in five failing the copy is the same, with half as many calls again at most', async () => {
  const report = await playWalk({ url: faulty.url, users: 6_000, faults: 0.2, simulated: true, seed: 7 });
  expect(report).toMatchObject({ equal: true });
  expect(report.callsPerPage).toBeGreaterThan(1.05);
  expect(report.callsPerPage).toBeLessThanOrEqual(1.5);
});
