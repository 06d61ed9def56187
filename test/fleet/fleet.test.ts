import { expect, test, vi } from 'vitest';
import { useDatabase } from '../support/database.ts';
import { runFleet } from './run-fleet.ts';

vi.setConfig({ testTimeout: 120_000 });

/** The short form of `npm run fleet`: fewer connections, the same stories. */
const few = { faults: 0.3, seed: 7 };

const database = useDatabase({ max: 20 });
const another = useDatabase({ max: 20 });

test('demotions and revocations among faults: exactly those are found, in time, and nothing of the others changes', async () => {
  const report = await runFleet(database.db, {
    ...few,
    connections: 16,
    demotions: 2,
    revocations: 1,
    story: 'schedule',
  });
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ troubled: 3, found: 3 });
  // The faults struck, else this would prove little.
  expect(report.faulted).toBeGreaterThan(report.calls * 0.2);
  expect(report.afterDueMinutes.longest).toBeLessThanOrEqual(15);
});

test('a wrong client secret for all: nothing changes, nobody is told, one refused application; then it is as ever', async () => {
  const report = await runFleet(another.db, {
    ...few,
    faults: 0,
    connections: 8,
    demotions: 4,
    revocations: 1,
    story: 'wrong_secret',
  });
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ troubled: 5, found: 5 });
});
