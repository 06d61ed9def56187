import { afterEach, beforeEach, expect, test } from 'vitest';
import { StewardError } from '../../src/errors.ts';
import { cancel, done, snooze } from '../../src/jobs/contract/result.ts';
import { consume, createQueueHarness, message, type QueueHarness, type QueueServer, signal, until } from './support.ts';

/** What both backends must do alike. Run by postgres-queue.test.ts and redis-queue.test.ts. */
export function queueConformance(server: () => QueueServer): void {
  let harness: QueueHarness;
  beforeEach(async () => {
    harness = await createQueueHarness(server());
  });
  afterEach(() => harness.close());

  const failed = (error: unknown, retryInMs: number | null) => ({ kind: 'failed', error, retryInMs }) as const;

  test('delivers what was published, in order, with key, payload and attempt', async () => {
    const system = harness.system();
    await system.publish(['a', 'b', 'c'].map((key) => message(key)));
    const { consumer, seen } = consume(system, () => done());
    await until('three deliveries', () => seen.length === 3);
    expect(seen.map(({ name, key, payload, attempt }) => ({ name, key, payload, attempt }))).toEqual(
      ['a', 'b', 'c'].map((key) => ({ name: 'try-it', key, payload: { key }, attempt: 1 })),
    );
    await until('an empty queue', async () => {
      const { waiting, active } = await system.depth('quick');
      return waiting + active === 0;
    });
    await consumer.close();
  });

  test('messages about the same wait as one', async () => {
    const system = harness.system();
    for (let i = 0; i < 5; i++) await system.publish([message('same'), message('other')]);
    const { consumer, seen } = consume(system, () => done());
    await until('both', () => seen.length >= 2);
    await consumer.quiet();
    await consumer.close();
    expect(seen.map((delivery) => delivery.key)).toEqual(['same', 'other']);
  });

  test('a message about what is at work makes it run once more, with the latest payload', async () => {
    const system = harness.system();
    const begun = signal();
    const go = signal();
    const { consumer, seen } = consume(system, async (_delivery, count) => {
      if (count === 1) {
        begun.fire();
        await go.promise;
      }
      return done();
    });
    await system.publish([message('x', { payload: { key: 'x', turn: 1 } })]);
    await begun.promise;
    await system.publish([message('x', { payload: { key: 'x', turn: 2 } })]);
    await system.publish([message('x', { payload: { key: 'x', turn: 3 } })]);
    go.fire();
    await until('the second run', () => seen.length === 2);
    expect(seen[1]?.payload).toEqual({ key: 'x', turn: 3 });
    await consumer.close();
    expect(seen).toHaveLength(2);
  });

  test.each([
    ['done', () => done()],
    ['cancelled', () => cancel('the member is gone')],
    ['not understood', () => ({ kind: 'invalid', error: new StewardError('payload_invalid', 'no') }) as const],
    ['failed for good', () => failed(new StewardError('broken', 'it broke'), null)],
    ['failed, and tried again', () => failed(new StewardError('broken', 'it broke'), 30)],
    ['snoozed', () => snooze(30, 'not yet')],
    ['snoozed for long', () => snooze(3_600_000, 'not for long')],
    ['handed back', () => ({ kind: 'shutdown' }) as const],
  ])('what is said while the job is at work is done after it, also when that is %s', async (_how, outcome) => {
    const system = harness.system();
    const begun = signal();
    const go = signal();
    const { consumer, seen } = consume(system, async (_delivery, count) => {
      if (count > 1) return done();
      begun.fire();
      await go.promise;
      return outcome();
    });
    await system.publish([message('x', { payload: { key: 'x', turn: 1 } })]);
    await begun.promise;
    await system.publish([message('x', { payload: { key: 'x', turn: 2 } })]);
    go.fire();
    await until('what was said meanwhile', () => seen.some(({ payload }) => (payload as { turn: number }).turn === 2));
    // and the key is free again
    await system.publish([message('x', { payload: { key: 'x', turn: 3 } })]);
    await until('what was said after', () => seen.some(({ payload }) => (payload as { turn: number }).turn === 3));
    await consumer.close();
  });

  test('what is said while the job is at work survives the death of its process', async () => {
    const mine = harness.system();
    const stuck = signal();
    const lost = consume(mine, async () => {
      stuck.fire();
      await new Promise(() => {});
      return done();
    });
    await mine.publish([message('x', { payload: { key: 'x', turn: 1 } })]);
    await stuck.promise;
    await mine.publish([message('x', { payload: { key: 'x', turn: 2 } })]);
    await lost.consumer.close(true);
    const next = consume(harness.system(), () => done());
    await until('both', () => next.seen.length >= 2);
    expect(next.seen.map(({ payload }) => (payload as { turn: number }).turn)).toEqual([1, 2]);
    await next.consumer.close();
  });

  test('what was delivered, and is said a second time, does not swallow what is said later', async () => {
    const system = harness.system();
    const { consumer, seen } = consume(system, () => done());
    const said = message('x', { payload: { key: 'x', turn: 1 } });
    await system.publish([said]);
    await until('the first run', () => seen.length === 1);
    await system.publish([said]);
    await until('the second delivery, which is harmless', () => seen.length === 2);
    await system.publish([message('x', { payload: { key: 'x', turn: 2 } })]);
    await until('the later message', () => seen.some(({ payload }) => (payload as { turn: number }).turn === 2));
    await consumer.close();
  });

  test('no change is lost, whenever it is said', async () => {
    const system = harness.system();
    const another = harness.system();
    const keys = ['p', 'q', 'r'];
    const truth = new Map(keys.map((key) => [key, 0]));
    const looked = new Map(keys.map((key) => [key, 0]));
    const handle = async (key: string) => {
      const found = truth.get(key) as number;
      await new Promise((resolve) => setImmediate(resolve));
      looked.set(key, Math.max(looked.get(key) as number, found));
      return done();
    };
    const consumers = [system, another].map(
      (each) => consume(each, ({ key }) => handle(key), { concurrency: 3 }).consumer,
    );
    for (let i = 1; i <= 150; i++) {
      const key = keys[i % keys.length] as string;
      truth.set(key, i);
      await (i % 2 === 0 ? system : another).publish([message(key)]);
    }
    await until('every key looked at after its last change', () =>
      keys.every((key) => looked.get(key) === truth.get(key)),
    );
    await Promise.all(consumers.map((consumer) => consumer.close()));
  });

  test('a failure is tried again after the time its policy says, until none is left', async () => {
    const system = harness.system();
    const at: number[] = [];
    const { consumer, seen } = consume(system, ({ attempt }) => {
      at.push(performance.now());
      return failed(new StewardError('broken', 'it broke'), attempt >= 3 ? null : 120);
    });
    await system.publish([message('x')]);
    await until('the failed list', async () => (await system.failed('quick', 10)).length === 1);
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect((at[1] as number) - (at[0] as number)).toBeGreaterThan(100);
    const [dead] = await system.failed('quick', 10);
    expect(dead).toMatchObject({ job: 'try-it', key: 'x', reason: 'broken: it broke' });
    // and the key is free again
    await system.publish([message('x')]);
    await until('a new life', () => seen.length === 4);
    await consumer.close();
  });

  test.each([
    ['what was cancelled', () => cancel('the member is gone'), 'cancelled: the member is gone'],
    [
      'what does not parse',
      () => ({ kind: 'invalid', error: new StewardError('payload_invalid', 'memberId: expected a uuid') }) as const,
      'payload_invalid: memberId: expected a uuid',
    ],
  ])('%s fails for good, says why, and frees its key', async (_what, outcome, reason) => {
    const system = harness.system();
    const { consumer, seen } = consume(system, (_delivery, count) => (count === 1 ? outcome() : done()));
    await system.publish([message('x')]);
    await until('the failed list', async () => (await system.failed('quick', 10)).length === 1);
    expect((await system.failed('quick', 10))[0]?.reason).toBe(reason);
    expect(seen).toHaveLength(1);
    await system.publish([message('x')]);
    await until('a new life', () => seen.length === 2);
    await consumer.close();
  });

  test('says for how long the job that waits longest has been waiting', async () => {
    const system = harness.system();
    expect(await system.oldestWaitingMs('quick')).toBe(0);
    const saidAt = Date.now();
    await system.publish([message('first')]);
    await until('the clock to move on', () => Date.now() - saidAt >= 200);
    await system.publish([message('second'), message('third')]);
    const age = await system.oldestWaitingMs('quick');
    expect(age).toBeGreaterThan(100);
    expect(age).toBeLessThanOrEqual(Date.now() - saidAt + 50);
    const { consumer } = consume(system, () => done());
    await until('an empty queue', async () => (await system.oldestWaitingMs('quick')) === 0);
    await consumer.close();
  });

  test('what failed for good is found by its id and forgotten once, and what waits about the same stays one', async () => {
    const system = harness.system();
    const { consumer } = consume(system, () => failed(new StewardError('broken', 'it broke'), null));
    await system.publish([message('x', { payload: { key: 'x', turn: 1 } })]);
    await until('the failed list', async () => (await system.failed('quick', 10)).length === 1);
    await consumer.close();
    const [dead] = await system.failed('quick', 10);
    const id = dead?.id as string;
    expect(await system.findFailed('quick', id)).toMatchObject({
      id,
      job: 'try-it',
      key: 'x',
      payload: { key: 'x', turn: 1 },
      attempts: 1,
      reason: 'broken: it broke',
    });
    expect(await system.findFailed('bulk', id)).toBeUndefined();
    await system.publish([message('x', { payload: { key: 'x', turn: 2 } })]);
    expect(await system.removeFailed('quick', id)).toBe(true);
    expect(await system.removeFailed('quick', id)).toBe(false);
    await system.publish([message('x', { payload: { key: 'x', turn: 3 } })]);
    expect(await system.depth('quick')).toMatchObject({ waiting: 1, failed: 0 });
    const later = consume(system, () => done());
    await until('the one that waits', () => later.seen.length === 1);
    const [waited] = later.seen;
    // Only what has failed can be forgotten: nobody drops what waits or is done.
    expect(await system.removeFailed('quick', waited?.id as string)).toBe(false);
    await later.consumer.close();
  });

  test('a snooze uses no attempt; a long one goes to the outbox', async () => {
    const system = harness.system();
    const { consumer, seen } = consume(system, (_delivery, count) =>
      count <= 4 ? snooze(20, 'not yet') : count === 5 ? snooze(3_600_000, 'not for long') : done(),
    );
    await system.publish([message('x')]);
    await until('the hand-over', () => harness.handedOver.length === 1);
    expect(harness.handedOver).toEqual([{ job: 'try-it', key: 'x', delayMs: 3_600_000 }]);
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1]);
    expect(seen.map(({ starts }) => starts)).toEqual([1, 2, 3, 4, 5]);
    await consumer.close();
    expect(await system.failed('quick', 10)).toEqual([]);
  });

  test('a long snooze that the outbox does not take waits in the queue, and uses no attempt', async () => {
    const system = harness.system();
    harness.outboxAway = true;
    const { consumer, seen } = consume(system, () => snooze(3_600_000, 'not for long'));
    await system.publish([message('x', { attempts: 1 })]);
    await until('the delayed job', async () => (await system.depth('quick')).delayed === 1);
    await consumer.close();
    expect(seen).toHaveLength(1);
    expect(harness.handedOver).toEqual([]);
    expect(await system.failed('quick', 10)).toEqual([]);
  });

  test('a shutdown hands the job back without using an attempt, and another process goes on', async () => {
    const system = harness.system();
    const begun = signal();
    const { consumer, seen } = consume(system, async ({ signal: stop }) => {
      begun.fire();
      await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve()));
      expect(stop.reason).toBe('shutdown');
      return { kind: 'shutdown' };
    });
    await system.publish([message('x')]);
    await begun.promise;
    await consumer.quiet();
    consumer.abort('shutdown');
    await consumer.idle();
    await consumer.close();
    expect(seen).toHaveLength(1);
    const next = consume(harness.system(), () => done());
    await until('the next process', () => next.seen.length === 1);
    expect(next.seen[0]).toMatchObject({ key: 'x', attempt: 1 });
    await next.consumer.close();
  });

  test('a process that stops renewing its lock loses the job to another', async () => {
    const mine = harness.system();
    const stuck = signal();
    const lost = consume(mine, async () => {
      stuck.fire();
      await new Promise(() => {});
      return done();
    });
    await mine.publish([message('x')]);
    await stuck.promise;
    // A process that is gone: connections and timers end, nothing is said to the queue.
    await lost.consumer.close(true);
    const startedAt = performance.now();
    const next = consume(harness.system(), () => done());
    await until('the other process', () => next.seen.length === 1);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await next.consumer.close();
  });
}
