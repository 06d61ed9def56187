import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { findFact } from '../../src/db/installation-repository.ts';
import { findRedisServer, type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { createQueue } from '../../src/queues/create-queue.ts';
import { compareQueue, migrateAll, type RecordedQueue } from '../../src/queues/migrate-all.ts';
import { type Moved, type MoveStep, moveQueue } from '../../src/queues/move-queue.ts';
import { createOutboxRelay } from '../../src/queues/outbox-relay.ts';
import type { QueueSystem } from '../../src/queues/queue.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { useDatabase } from '../support/database.ts';
import { beginChain, chainState, chainWorker, createChainTable } from './chain.ts';
import { consume, message, say, signal, tryIt, until } from './support.ts';

vi.setConfig({ testTimeout: 60_000 });

type Kind = 'postgres' | 'redis';
const database = useDatabase();
const prefix = 'moved';
const stops: (() => Promise<unknown>)[] = [];

describe.skipIf(findRedisServer() === undefined && process.env['CI'] !== 'true')('moving the queue', () => {
  let redis: PrivateRedis;

  beforeAll(async () => {
    redis = await startPrivateRedis();
    await migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: prefix });
    await createChainTable(database.db);
  });
  afterAll(() => redis?.stop());
  beforeEach(async () => {
    for (const kind of ['postgres', 'redis'] as const)
      for (const queue of ['quick', 'bulk', 'zoom'] as const) await on(kind).forgetUndone(queue);
    await sql`delete from steward.outbox`.execute(database.db);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  function on(queue: Kind): QueueSystem {
    const system = createQueue(
      {
        queue,
        queuePrefix: prefix,
        databaseUrl: new Secret(database.url),
        redisUrl: new Secret(redis.url),
        concurrency: {},
      },
      { db: database.db, telemetry: createTelemetry(), times: { lockDuration: 1_000, stalledInterval: 250 } },
    );
    stops.push(() => system.close());
    return system;
  }

  async function worker(kind: Kind): Promise<WorkerProcess> {
    const made = chainWorker({ url: database.url, redisUrl: kind === 'redis' ? redis.url : null, prefix });
    stops.push(() => made.stop());
    await made.start();
    return made;
  }

  const recorded = () => findFact<RecordedQueue>(database.db, 'queue');
  const other = (kind: Kind): Kind => (kind === 'redis' ? 'postgres' : 'redis');
  const here = async (): Promise<Kind> => (await recorded())?.kind as Kind;

  const move = (
    to: Kind,
    { from = on(other(to)), onStep }: { from?: QueueSystem | null; onStep?: (step: MoveStep) => void } = {},
  ): Promise<Moved | null> =>
    moveQueue(database.db, {
      to,
      from,
      prepare: async () => {},
      actor: 'operator:jo',
      reason: 'try',
      ...(onStep === undefined ? {} : { onStep }),
    });

  const owed = async (): Promise<{ job: string; key: string }[]> => {
    const { rows } = await sql<{ job: string; key: string }>`
      select distinct job, key from steward.outbox order by job, key`.execute(database.db);
    return rows;
  };

  test.each(['redis', 'postgres'] as const)(
    'to %s: what waits, what is delayed and what a dead worker had begun is owed, and done by the new workers',
    async (to) => {
      const old = on(other(to));
      const dying = on(other(to));
      const begun = signal();
      const { consumer } = consume(dying, async () => {
        begun.fire();
        return new Promise(() => {});
      });
      await old.publish([message('begun')]);
      await begun.promise;
      await consumer.close(true);
      const later = consume(old, ({ key }) => ({ kind: 'snooze', ms: 50_000, reason: `not yet: ${key}` }), {
        queue: 'zoom',
      });
      await old.publish([message('delayed', { queue: 'zoom' })]);
      await until('the snooze', async () => (await old.depth('zoom')).delayed === 1);
      await later.consumer.close();
      const chain = await beginChain(database.db, 5);
      await sql`delete from steward.outbox`.execute(database.db);
      await old.publish([
        message('waits', { queue: 'zoom' }),
        message(chain, {
          queue: 'bulk',
          job: 'reconcile-organization',
          payload: { organizationId: chain, runId: chain },
        }),
      ]);

      expect(await here()).toBe(other(to));
      // Jobs that only tests have fail for good on the queue where a worker of the test before met them.
      const deadLetters = (await old.failed('quick', 10)).length + (await old.failed('zoom', 10)).length;
      expect(await move(to)).toMatchObject({ from: other(to), to, carried: 4, deadLetters });
      expect((await owed()).map(({ key }) => key).sort()).toEqual(['begun', 'delayed', 'waits', chain].sort());
      const { rows } = await sql<{ key: string; seconds: number }>`
        select key, extract(epoch from available_at - steward.now())::float8 as seconds from steward.outbox`.execute(
        database.db,
      );
      const seconds = new Map(rows.map((row) => [row.key, row.seconds]));
      expect(seconds.get('delayed')).toBeGreaterThan(20);
      expect(seconds.get('waits')).toBeLessThanOrEqual(0);
      expect((await old.undone('zoom')).length + (await old.undone('bulk')).length).toBe(0);
      expect(await recorded()).toEqual({ kind: to, prefix });

      await worker(to);
      await until('the chain on the new queue', async () => (await chainState(database.db, chain)).done === 5);
      expect(await move(to)).toBeNull();
    },
  );

  test('is refused while a worker lives, and changes nothing', async () => {
    const from = await here();
    const alive = await worker(from);
    await until('its LISTEN connection', async () => {
      const { rows } = await sql<{ n: number }>`
        select count(*)::int as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'
           and database = (select oid from pg_database where datname = current_database())`.execute(database.db);
      return rows[0]?.n === 1;
    });
    await expect(move(other(from))).rejects.toMatchObject({ code: 'workers_alive' });
    expect(await recorded()).toEqual({ kind: from, prefix });
    await alive.stop();
    expect(await move(other(from))).toMatchObject({ to: other(from) });
  });

  test('a worker of the old queue that nobody saw relays nothing there, and says so', async () => {
    const from = await here();
    const seen: string[] = [];
    const telemetry = createTelemetry();
    telemetry.on('outbox_delayed', ({ code }) => seen.push(code));
    const published: unknown[] = [];
    // No LISTEN connection: as if it were cut while the queue is moved.
    const relay = createOutboxRelay({
      db: database.db,
      queue: { kind: from, publish: async (messages) => void published.push(...messages) },
      jobs: [tryIt],
      telemetry,
      pollMs: 20,
    });
    await move(other(from));
    await say(database.db, 'x');
    relay.start();
    await until('the complaint', () => seen.length > 0);
    await relay.stop();
    expect(seen[0]).toBe('queue_moved');
    expect(published).toEqual([]);
    expect(await owed()).toContainEqual({ job: 'try-it', key: 'x' });
  });

  test('what a relay that nobody saw has claimed is said again', async () => {
    const from = await here();
    await say(database.db, 'x');
    const claimed = signal();
    const go = signal();
    const relay = createOutboxRelay({
      db: database.db,
      queue: { kind: from, publish: async () => {} },
      jobs: [tryIt],
      telemetry: createTelemetry(),
      pollMs: 600_000,
      onStep: async (step) => {
        if (step !== 'claimed') return;
        claimed.fire();
        await go.promise;
      },
    });
    const moving = relay.moveBatch();
    await claimed.promise;
    await move(other(from));
    go.fire();
    await moving;
    expect(await owed()).toContainEqual({ job: 'try-it', key: 'x' });
  });

  test.each(['recorded', 'carried'] as const)(
    'that died when it had "%s": nobody starts, nothing is lost, the same command goes on',
    async (step) => {
      const from = await here();
      const to = other(from);
      await on(from).publish([message('x')]);
      const died = move(to, {
        onStep: (at) => {
          if (at === step) throw new Error('killed');
        },
      });
      await expect(died).rejects.toThrow('killed');
      for (const queue of ['postgres', 'redis'])
        expect(() => compareQueue({ kind: to, prefix, movingFrom: from }, { queue, queuePrefix: prefix })).toThrow(
          queue === to ? 'run "zoom-steward queues move' : 'set it to',
        );
      expect(await recorded()).toEqual({ kind: to, prefix, movingFrom: from });
      await expect(
        migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: to, queuePrefix: prefix }),
      ).rejects.toMatchObject({ code: 'queue_move_unfinished' });
      expect(await move(to)).toMatchObject({ from, to });
      expect(await owed()).toContainEqual({ job: 'try-it', key: 'x' });
      expect(await recorded()).toEqual({ kind: to, prefix });
    },
  );

  test('from a queue that is gone: every run and every organization is owed', async () => {
    const id = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
    await sql`insert into steward_app.organizations (id, name, deleted_at) values (${id(1)}, 'A', null), (${id(2)}, 'B', null), (${id(3)}, 'C', now())`.execute(
      database.db,
    );
    await sql`insert into steward.org_connections (id, organization_id, state) values (${id(4)}, ${id(1)}, 'active')`.execute(
      database.db,
    );
    await sql`
      insert into steward.runs (id, target, target_id, organization_id, connection_id, generation, cause, actor, state, created_at)
      values (${id(5)}, 'organization', ${id(1)}, ${id(1)}, ${id(4)}, 1, 'activated', 'schedule', 'running', now())`.execute(
      database.db,
    );
    const from = await here();
    expect(await move(other(from), { from: null })).toMatchObject({ carried: 0, rebuilt: 3 });
    expect(await owed()).toEqual([id(1), id(2), id(5)].map((key) => ({ job: 'reconcile-organization', key })));
    const { rows } = await sql<{ reason: string; data: unknown }>`
      select reason, data from steward.audit_log where action = 'queue.moved' order by id desc limit 1`.execute(
      database.db,
    );
    expect(rows[0]).toEqual({ reason: 'try', data: { from, to: other(from), carried: 0, rebuilt: 3 } });
  });
});
