import { sql } from 'kysely';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { done } from '../../src/jobs/contract/result.ts';
import { createProcess } from '../../src/queues/process-delivery.ts';
import type { QueueDelivery } from '../../src/queues/queue.ts';
import { createSwitches, type SwitchName } from '../../src/queues/switches.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { services } from '../jobs/perform-job.ts';
import { useDatabase } from '../support/database.ts';
import { tryIt } from './support.ts';

const database = useDatabase();

/** A process whose one job counts its runs. */
function playing(isOn: (name: SwitchName) => Promise<boolean>) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => lines.push(JSON.parse(line)) });
  const told: (string | undefined)[] = [];
  let runs = 0;
  const job = {
    ...tryIt,
    handler: async () => {
      runs += 1;
      return done();
    },
  };
  const telemetry = createTelemetry();
  telemetry.on('job_finished', ({ outcome, detail }) => told.push(`${outcome}: ${detail ?? ''}`));
  const process = createProcess({
    deps: { db: undefined as unknown as Database, log, services: services(), sliceMs: 1_000, jobs: [job] },
    switches: { isOn },
    telemetry,
    holdMs: 0,
  });
  const deliver = (over: Partial<QueueDelivery> = {}) =>
    process({
      queue: 'quick',
      id: '1',
      name: 'try-it',
      key: 'x',
      payload: { key: 'x' },
      attempt: 1,
      starts: 1,
      waitedMs: 0,
      signal: new AbortController().signal,
      ...over,
    });
  return { deliver, told, lines, runs: () => runs };
}

test('while the database is away a job waits, longer after a minute, and uses no attempt', async () => {
  const { deliver, told, lines, runs } = playing(async () => {
    throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  });
  expect(await deliver()).toEqual({ kind: 'snooze', ms: 5_000, reason: 'the database is away' });
  // Also at the last attempt, which a throw would end for good.
  expect(await deliver({ attempt: tryIt.attempts, starts: 13 })).toMatchObject({ kind: 'snooze', ms: 60_000 });
  expect(runs()).toBe(0);
  expect(told).toEqual(['snoozed: the database is away', 'snoozed: the database is away']);
  expect(lines).toMatchObject([{ msg: 'a job waits for the database', job: 'try-it', key: 'x' }, { key: 'x' }]);
});

test.each([
  ['quick', ['pause_all'], 'snooze'],
  ['zoom', ['pause_zoom'], 'snooze'],
  ['quick', ['pause_zoom'], 'done'],
  ['bulk', ['pause_declaring', 'observe_only', 'pause_writes'], 'done'],
] as const)('a job of %s under %j: %s', async (queue, on, outcome) => {
  const { deliver, runs } = playing(async (name) => (on as readonly string[]).includes(name));
  expect((await deliver({ queue })).kind).toBe(outcome);
  expect(runs()).toBe(outcome === 'done' ? 1 : 0);
});

test('a switch is seen when the time of the last look is up', async () => {
  const { db } = database;
  const switches = createSwitches({ db, freshMs: 0 });
  expect(await switches.isOn('pause_all')).toBe(false);
  await sql`insert into steward.switches (name, reason, actor, since) values ('pause_all', 'test', 'operator:ana', steward.now())`.execute(
    db,
  );
  expect(await switches.isOn('pause_all')).toBe(true);
});

test('that the database was away is not remembered as an answer', async () => {
  let asked = 0;
  const execute = async () => {
    asked += 1;
    if (asked === 1) throw new Error('connect ECONNREFUSED');
    return [{ name: 'pause_all' }];
  };
  const db = { selectFrom: () => ({ select: () => ({ execute }) }) } as unknown as Database;
  const switches = createSwitches({ db, freshMs: 60_000 });
  await expect(switches.isOn('pause_all')).rejects.toThrow('ECONNREFUSED');
  expect(await switches.isOn('pause_all')).toBe(true);
  expect(await switches.isOn('pause_all')).toBe(true);
  expect(asked).toBe(2);
});
