import { randomUUID } from 'node:crypto';
import { createPostgresBackend, Worker } from 'bullmq';
import { sql } from 'kysely';
import pg from 'pg';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createEvents, eventQueueName, type StewardEvent } from '../../src/client/events.ts';
import { insertEvent } from '../../src/db/event-repository.ts';
import { createQueue } from '../../src/queues/create-queue.ts';
import { createEventCourier } from '../../src/queues/event-courier.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { advanceClock } from '../connections/organization.ts';
import { useDatabase } from '../support/database.ts';
import { onBothBackends } from './both-backends.ts';
import { until } from './support.ts';
import { wipeQueue } from './wipe-queue.ts';

vi.setConfig({ testTimeout: 60_000 });

onBothBackends('events for the main app', (queue) => {
  const database = useDatabase();
  const prefix = `ev${randomUUID().slice(0, 6)}`;
  const stops: (() => Promise<unknown>)[] = [];

  beforeAll(() =>
    migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: queue.kind, queuePrefix: prefix }),
  );
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await sql`truncate steward.events, steward.event_streams`.execute(database.db);
    await wipeQueue(database.db, queue.redisUrl());
  });

  function courier() {
    const redisUrl = queue.redisUrl();
    const telemetry = createTelemetry();
    const system = createQueue(
      {
        queue: queue.kind,
        databaseUrl: new Secret(database.url),
        redisUrl: redisUrl === null ? null : new Secret(redisUrl),
        queuePrefix: prefix,
        concurrency: { quick: 1 },
      },
      { db: database.db, telemetry },
    );
    stops.push(() => system.close());
    const made = createEventCourier({ db: database.db, queue: system, telemetry, pollMs: 20 });
    return { system, ...made };
  }

  /** The main app: a BullMQ worker of its own, with the client's processor. */
  async function mainApp(handle: (event: StewardEvent) => Promise<void> | void) {
    const redisUrl = queue.redisUrl();
    const processor = createEvents(database.db as never).processor(async (event) => handle(event));
    const times = { concurrency: 4, stalledInterval: 500, lockDuration: 2_000, settings: {} };
    if (redisUrl !== null) {
      const worker = new Worker(eventQueueName(prefix), processor, {
        connection: { url: redisUrl, maxRetriesPerRequest: null },
        prefix: `{${prefix}}`,
        ...times,
      });
      worker.on('error', () => {});
      stops.push(() => worker.close(true));
      await worker.waitUntilReady();
      return;
    }
    const pool = new pg.Pool({ connectionString: database.url, options: '-c search_path=bullmq', max: 8 });
    pool.on('error', () => {});
    const worker = new Worker(
      eventQueueName(prefix),
      processor,
      { connection: pool as never, ...times },
      createPostgresBackend as never,
    );
    worker.on('error', () => {});
    stops.push(async () => {
      await worker.close(true);
      await pool.end();
    });
    await worker.waitUntilReady();
  }

  const tell = (organizationId: string, type: string) =>
    database.db.transaction().execute((trx) => insertEvent(trx, { organizationId, type }));
  const untaken = async (): Promise<number> => {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from steward.events where delivered_at is null`.execute(database.db);
    return rows[0]!.n;
  };

  test('come in order for each organization, however many batches, and are noted as taken', async () => {
    const organizations = [randomUUID(), randomUUID(), randomUUID()];
    const seen: StewardEvent[] = [];
    await mainApp((event) => void seen.push(event));
    await database.db.transaction().execute(async (trx) => {
      for (let n = 0; n < 130; n += 1)
        for (const organizationId of organizations) await insertEvent(trx, { organizationId, type: `test.${n}` });
    });
    const { start, stop } = courier();
    start();
    stops.push(stop);
    await tell(organizations[0]!, 'test.130');
    await until('all events to be taken', async () => (await untaken()) === 0);
    for (const [i, id] of organizations.entries())
      expect(seen.filter((event) => event.organizationId === id).map(({ type }) => type)).toEqual(
        Array.from({ length: i === 0 ? 131 : 130 }, (_, n) => `test.${n}`),
      );
  });

  test('one that fails is tried again, with what follows behind it; what went before does not come again', async () => {
    const organizationId = randomUUID();
    const seen: string[] = [];
    let failures = 1;
    await mainApp(({ type }) => {
      seen.push(type);
      if (type === 'test.1' && failures-- > 0) throw new Error('the app is down');
    });
    for (let n = 0; n < 3; n += 1) await tell(organizationId, `test.${n}`);
    const { round } = courier();
    await round();
    await until('all events to be taken', async () => (await untaken()) === 0);
    expect(seen).toEqual(['test.0', 'test.1', 'test.1', 'test.2']);
  });

  test('a queue that is wiped loses none: what was not taken is offered again', async () => {
    const organizationId = randomUUID();
    await tell(organizationId, 'test.0');
    const { round } = courier();
    await round();
    await wipeQueue(database.db, queue.redisUrl());
    const seen: string[] = [];
    await mainApp(({ type }) => void seen.push(type));
    await round();
    expect(await untaken()).toBe(1);
    await advanceClock(database.db, '2 minutes');
    await round();
    await until('the event to be taken', async () => (await untaken()) === 0);
    expect(seen).toEqual(['test.0']);
  });

  test('taken by SQL meanwhile: the batch that waited brings nothing twice', async () => {
    const organizationId = randomUUID();
    await tell(organizationId, 'test.0');
    await tell(organizationId, 'test.1');
    const { round } = courier();
    await round();
    const events = createEvents(database.db as never);
    await events.taken({ position: (await events.read())[0]!.position });
    const seen: string[] = [];
    await mainApp(({ type }) => void seen.push(type));
    await until('the rest to be taken', async () => (await untaken()) === 0);
    expect(seen).toEqual(['test.1']);
  });
});
