import { expect, test } from 'vitest';
import { redisLacking } from '../queues/redis-server.ts';
import { runCrashes } from './run-crashes.ts';

// The short form of `npm run crash`: one life on each queue, killed once in each stage.
test.concurrent.for(['postgres', 'redis'] as const)(
  'a worker killed inside fan-out, cascade and restore leaves what an undisturbed one leaves, queue on %s',
  { timeout: 480_000 },
  async (queue, { skip }) => {
    skip(queue === 'redis' && redisLacking !== undefined && process.env['CI'] !== 'true', redisLacking);
    const report = await runCrashes({
      queue,
      kills: 3,
      seed: 11,
      members: 1_200,
      parallel: 1,
      killsAStage: 1,
      say: () => {},
    });
    expect(report.different).toEqual([]);
    expect(Object.keys(report.byStage).sort()).toEqual(['cascade', 'fan-out', 'restore']);
    expect(report.ok).toBe(true);
  },
);
