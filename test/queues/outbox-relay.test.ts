import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { insertOutbox } from '../../src/db/outbox-repository.ts';
import { createOutboxRelay, type OutboxRelayOptions, type RelayStep } from '../../src/queues/outbox-relay.ts';
import { outboxBacklog } from '../../src/queues/outbox-rows.ts';
import type { QueueMessage } from '../../src/queues/queue.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { useDatabase } from '../support/database.ts';
import { say, signal, tryIt, until } from './support.ts';

const database = useDatabase();
const noPollMs = 600_000;

/** A queue that remembers, and is away on demand. */
function fakeQueue() {
  const published: QueueMessage[] = [];
  const state = { away: false };
  return {
    kind: 'postgres' as const,
    published,
    state,
    keys: () => published.map((message) => message.key),
    publish: async (messages: readonly QueueMessage[]) => {
      if (state.away) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      published.push(...messages);
    },
  };
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
beforeEach(() => database.db.deleteFrom('steward.outbox').execute());

const telemetry = createTelemetry();
function relayTo(
  queue: Pick<ReturnType<typeof fakeQueue>, 'publish' | 'kind'>,
  over: Partial<OutboxRelayOptions> = {},
) {
  const relay = createOutboxRelay({ db: database.db, queue, jobs: [tryIt], telemetry, pollMs: noPollMs, ...over });
  stops.push(() => relay.stop());
  return relay;
}

describe('moving', () => {
  test('in the order in which it was said, and then it is forgotten', async () => {
    const queue = fakeQueue();
    for (const key of ['a', 'b', 'c', 'd']) await say(database.db, key);
    expect(await relayTo(queue).moveBatch()).toBe(4);
    expect(queue.keys()).toEqual(['a', 'b', 'c', 'd']);
    expect(await outboxBacklog(database.db)).toEqual({ unsent: 0, oldestAgeMs: 0 });
  });

  test('equal job and key are one message, the last one said', async () => {
    const queue = fakeQueue();
    await database.db.transaction().execute(async (trx) => {
      for (const turn of [1, 2, 3]) await insertOutbox(trx, { job: 'try-it', key: 'x', payload: { key: 'x', turn } });
      await insertOutbox(trx, { job: 'try-it', key: 'y', payload: { key: 'y' } });
    });
    expect(await relayTo(queue).moveBatch()).toBe(4);
    expect(queue.published.map(({ payload }) => payload)).toEqual([{ key: 'x', turn: 3 }, { key: 'y' }]);
  });

  test('what was not committed is not there; what commits late is not passed over', async () => {
    const queue = fakeQueue();
    const relay = relayTo(queue);
    const written = signal();
    const commit = signal();
    const late = database.db.transaction().execute(async (trx) => {
      await insertOutbox(trx, { job: 'try-it', key: 'late', payload: { key: 'late' } });
      written.fire();
      await commit.promise;
    });
    await written.promise;
    await say(database.db, 'early');
    await relay.moveBatch();
    expect(queue.keys()).toEqual(['early']);
    commit.fire();
    await late;
    await relay.moveBatch();
    expect(queue.keys()).toEqual(['early', 'late']);
    await database.db
      .transaction()
      .execute(async (trx) => {
        await insertOutbox(trx, { job: 'try-it', key: 'never', payload: { key: 'never' } });
        throw new Error('rolled back');
      })
      .catch(() => {});
    expect(await relay.moveBatch()).toBe(0);
  });

  test('not before its time, by the database clock', async () => {
    const queue = fakeQueue();
    const relay = relayTo(queue);
    await say(database.db, 'tomorrow', 24 * 3_600_000);
    expect(await relay.moveBatch()).toBe(0);
    await sql`update steward.clock set offset_by = '25 hours'`.execute(database.db);
    try {
      expect(await relay.moveBatch()).toBe(1);
    } finally {
      await sql`update steward.clock set offset_by = '0'`.execute(database.db);
    }
    expect(queue.keys()).toEqual(['tomorrow']);
  });

  test('a job nobody knows goes to the queue, where it fails for good and is seen', async () => {
    const queue = fakeQueue();
    await database.db
      .transaction()
      .execute((trx) => insertOutbox(trx, { job: 'from-the-future', key: 'x', payload: {} }));
    await relayTo(queue).moveBatch();
    expect(queue.published[0]).toMatchObject({ job: 'from-the-future', attempts: 1 });
  });

  test('two relays at once deliver everything, each message once', async () => {
    const queue = fakeQueue();
    const total = 400;
    await sql`
      insert into steward.outbox (job, key, payload)
      select 'try-it', n::text, jsonb_build_object('key', n::text) from generate_series(1, ${total}::int) n`.execute(
      database.db,
    );
    const relays = [1, 2].map(() => relayTo(queue, { db: database.another(3), batch: 20 }));
    for (const relay of relays) relay.start();
    await until('an empty outbox', async () => (await outboxBacklog(database.db)).unsent === 0);
    expect(queue.published).toHaveLength(total);
    expect(new Set(queue.keys()).size).toBe(total);
  });
});

describe('dying', () => {
  /** Plays a relay that is killed at a step: it never comes back from there. */
  async function killAt(step: RelayStep, queue: ReturnType<typeof fakeQueue>): Promise<void> {
    const reached = signal();
    const relay = createOutboxRelay({
      db: database.db,
      queue,
      jobs: [tryIt],
      telemetry,
      pollMs: noPollMs,
      leaseMs: 600_000,
      onStep: (at) => {
        if (at !== step) return;
        reached.fire();
        return new Promise<void>(() => {});
      },
    });
    void relay.moveBatch();
    await reached.promise;
  }

  test.each([
    ['claimed', ['x']],
    ['published', ['x', 'x']],
    ['deleted', ['x']],
  ] as const)('after "%s" it is delivered by another relay: %j', async (step, deliveries) => {
    const queue = fakeQueue();
    await say(database.db, 'x');
    await killAt(step, queue);
    const next = relayTo(queue, { pollMs: 20 });
    if (step !== 'deleted') {
      // Its lease holds: nobody takes it before.
      expect(await next.moveBatch()).toBe(0);
      await sql`update steward.outbox set lease_until = steward.now() - interval '1 second'`.execute(database.db);
    }
    next.start();
    await until(
      'the deliveries',
      async () => queue.published.length === deliveries.length && (await outboxBacklog(database.db)).unsent === 0,
    );
    expect(queue.keys()).toEqual(deliveries);
  });

  test('a relay that wakes up late deletes nothing that another one holds', async () => {
    const queue = fakeQueue();
    await say(database.db, 'x');
    const slow = signal();
    const asleep = signal();
    const late = relayTo(queue, {
      leaseMs: 100,
      onStep: async (step) => {
        if (step !== 'published') return;
        asleep.fire();
        await slow.promise;
      },
    });
    const sleeping = late.moveBatch();
    await asleep.promise;
    const held = signal();
    const other = createOutboxRelay({
      db: database.db,
      queue,
      jobs: [tryIt],
      telemetry,
      pollMs: noPollMs,
      onStep: () => {
        held.fire();
        return new Promise<void>(() => {});
      },
    });
    await until('the lease to end', async () => {
      const { rows } = await sql<{
        over: boolean;
      }>`select lease_until < steward.now() as over from steward.outbox`.execute(database.db);
      return rows[0]?.over === true;
    });
    void other.moveBatch();
    await held.promise;
    slow.fire();
    await sleeping;
    // The other one's lease holds the row: without the token in the delete it would be gone, and lost if it dies.
    const { rows } = await sql`select 1 from steward.outbox`.execute(database.db);
    expect(rows).toHaveLength(1);
  });

  test('the queue is away: messages stay, are not counted as moved, and are delivered when it is back', async () => {
    const queue = fakeQueue();
    const delays: string[] = [];
    const off = telemetry.on('outbox_delayed', ({ code }) => delays.push(code));
    queue.state.away = true;
    const relay = relayTo(queue, { pollMs: 20 });
    relay.start();
    await say(database.db, 'x');
    await until('two attempts', () => delays.length >= 2);
    expect(delays.every((code) => code === 'ECONNREFUSED')).toBe(true);
    expect((await outboxBacklog(database.db)).unsent).toBe(1);
    queue.state.away = false;
    await until('the delivery', () => queue.published.length === 1);
    off();
  });
});

describe('hints', () => {
  const listeners = () =>
    sql<{ pid: number }>`
      select pid from pg_stat_activity where application_name = 'zoom-steward-listen' and datname = current_database()`.execute(
      database.db,
    );

  test('NOTIFY moves it at once, long before the poll', async () => {
    const queue = fakeQueue();
    relayTo(queue, { listenUrl: new Secret(database.url) }).start();
    await until('the listener', async () => (await listeners()).rows.length === 1);
    const startedAt = performance.now();
    await say(database.db, 'x');
    await until('the delivery', () => queue.published.length === 1);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('steward.changed() in SQL is heard too', async () => {
    const queue = fakeQueue();
    relayTo(queue, { listenUrl: new Secret(database.url) }).start();
    await until('the listener', async () => (await listeners()).rows.length === 1);
    const id = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';
    await sql`select steward.changed('member', ${id}::uuid)`.execute(database.db);
    await until('the delivery', () => queue.published.length === 1);
    expect(queue.published[0]).toMatchObject({ job: 'reconcile-member', key: id, payload: { memberId: id } });
  });

  test('the listener is cut and kept away: the poll delivers', async () => {
    const queue = fakeQueue();
    const lost = signal();
    const off = telemetry.on('listener_lost', () => lost.fire());
    // A channel of its own that cannot come back: the URL's database is gone for it.
    relayTo(queue, { listenUrl: new Secret(database.url.replace(/\/[^/]*$/, '/not_there')), pollMs: 30 }).start();
    await lost.promise;
    await say(database.db, 'x');
    await until('the delivery by poll', () => queue.published.length === 1);
    off();
  });

  test('the poll falls due by the clock: a look that takes long does not put the next one off', async () => {
    const looks: number[] = [];
    const pollMs = 400;
    const queue = fakeQueue();
    const slow = {
      ...queue,
      publish: async (messages: readonly QueueMessage[]) => {
        // Said while the look is under way, which does not see it any more.
        if (looks.length === 1) await say(database.db, 'y');
        await new Promise((resolve) => setTimeout(resolve, pollMs * 0.75));
        await queue.publish(messages);
      },
    };
    await say(database.db, 'x');
    relayTo(slow, { pollMs, onStep: (step) => void (step === 'claimed' && looks.push(performance.now())) }).start();
    await until('both', () => queue.published.length === 2);
    // From the end of the look before it would be 1.7 intervals.
    expect((looks[1] as number) - (looks[0] as number)).toBeLessThan(pollMs * 1.5);
  });

  test('the listener is cut: it listens again, hears at once what was said meanwhile, and what comes', async () => {
    const queue = fakeQueue();
    const lost = signal();
    const back = signal();
    relayTo(queue, { listenUrl: new Secret(database.url) }).start();
    await until('the listener', async () => (await listeners()).rows.length === 1);
    await until('its first look', async () => (await outboxBacklog(database.db)).unsent === 0);
    const offs = [telemetry.on('listener_lost', () => lost.fire()), telemetry.on('listener_ready', () => back.fire())];
    const [{ pid }] = (await listeners()).rows as [{ pid: number }];
    await sql`select pg_terminate_backend(${pid})`.execute(database.db);
    // Said while nobody listens: only the look after the reconnection can find it before a poll in ten minutes.
    await say(database.db, 'meanwhile');
    await lost.promise;
    await back.promise;
    await until('what was said meanwhile', () => queue.keys().includes('meanwhile'));
    await say(database.db, 'later');
    await until('what came later', () => queue.keys().includes('later'));
    for (const off of offs) off();
  });
});
