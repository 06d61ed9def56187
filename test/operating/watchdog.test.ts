import { beforeEach, describe, expect, test } from 'vitest';
import { createWatchdog, type Watchdog } from '../../src/operating/watchdog.ts';
import type { QueueDepth } from '../../src/queues/queue.ts';
import type { SwitchName } from '../../src/queues/switches.ts';
import { createTelemetry, type TelemetryEvents } from '../../src/telemetry.ts';

const idleMs = 60_000;
const empty: QueueDepth = { waiting: 0, active: 0, delayed: 0, failed: 0 };

const waitingForAWorker = { waiting: 3, active: 0, on: [] as SwitchName[], broken: false };
const world = { ...waitingForAWorker };
let now = 0;
let barks: TelemetryEvents['worker_wedged'][] = [];
let telemetry = createTelemetry();
let watchdog: Watchdog;

/** A queue whose worker never picks anything up, unless the test says that it did. */
beforeEach(() => {
  Object.assign(world, waitingForAWorker);
  now = 0;
  barks = [];
  telemetry = createTelemetry();
  watchdog = createWatchdog({
    lanes: [{ queue: 'quick', slots: 2, active: () => world.active }],
    depth: async () => {
      if (world.broken) throw new Error('ECONNREFUSED');
      return { ...empty, waiting: world.waiting };
    },
    switches: { isOn: async (name) => world.on.includes(name) },
    telemetry,
    idleMs,
    everyMs: 3_600_000,
    onWedged: (diagnosis) => barks.push(diagnosis),
    clock: () => now,
  });
});

const lookAt = async (...times: number[]): Promise<number> => {
  for (const time of times) {
    now = time;
    await watchdog.look();
  }
  return barks.length;
};

describe('the watchdog', () => {
  test('barks once when jobs wait, slots are free and nothing starts for the whole time', async () => {
    const told: unknown[] = [];
    telemetry.on('worker_wedged', (event) => told.push(event));
    expect(await lookAt(0, 20_000, 59_999)).toBe(0);
    expect(await lookAt(60_000, 80_000)).toBe(1);
    expect(barks).toEqual([{ queue: 'quick', waiting: 3, active: 0, slots: 2, idleMs: 60_000 }]);
    expect(told).toEqual(barks);
  });

  test('keeps quiet while a job starts now and then, even if the queue never gets shorter', async () => {
    watchdog.start();
    await lookAt(0, 50_000);
    telemetry.emit('job_started', { queue: 'quick', job: 'j', jobId: '1', key: 'k', attempt: 1, waitedMs: 0 });
    expect(await lookAt(60_000, 110_000)).toBe(0);
    expect(await lookAt(120_000)).toBe(1);
    await watchdog.stop();
  });

  test.each([
    ['an operator paused everything', () => Object.assign(world, { on: ['pause_all'] })],
    ['every slot is in use', () => Object.assign(world, { active: 2 })],
    ['nothing waits', () => Object.assign(world, { waiting: 0 })],
    ['the queue does not answer: that is never our fault', () => Object.assign(world, { broken: true })],
  ])('begins to doubt anew after %s', async (_, excuse) => {
    await lookAt(0, 50_000);
    excuse();
    expect(await lookAt(60_000, 200_000)).toBe(0);
    Object.assign(world, waitingForAWorker);
    expect(await lookAt(210_000, 269_999)).toBe(0);
    expect(await lookAt(270_000)).toBe(1);
  });

  test('a pause of calls to Zoom excuses the queue zoom and no other', async () => {
    world.on = ['pause_zoom'];
    expect(await lookAt(0, 60_000)).toBe(1);
  });
});
