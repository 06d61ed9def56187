import { sql } from 'kysely';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createServices, type Services } from '../../src/compose.ts';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { deleteSwitches, upsertSwitch } from '../../src/db/switch-repository.ts';
import { createQueue } from '../../src/queues/create-queue.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { testConfig } from '../compose/settings.ts';
import { useDatabase } from '../support/database.ts';
import { onBothBackends } from './both-backends.ts';
import { organizationWith, passTime, runState, stored } from './real-organization.ts';
import { until } from './support.ts';
import { wipeQueue } from './wipe-queue.ts';

vi.setConfig({ testTimeout: 120_000 });

const wipes = 4;
const members = 400;

onBothBackends('a queue that is wiped', (queue) => {
  const database = useDatabase();
  const stops: (() => Promise<unknown>)[] = [];
  const prefix = 'wiped';

  beforeAll(() =>
    migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: queue.kind, queuePrefix: prefix }),
  );
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  function worker(): WorkerProcess {
    const redisUrl = queue.redisUrl();
    const services: Services = createServices(
      testConfig(database.url, {
        STEWARD_QUEUE: queue.kind,
        ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
        STEWARD_QUEUE_PREFIX: prefix,
        STEWARD_CHUNK_SIZE: '10',
        STEWARD_CHUNK_MS: '0',
        STEWARD_SLICE_MS: '20',
        STEWARD_TICK_MS: '100',
      }),
    );
    const made = services.createWorker();
    stops.push(() => made.stop());
    return made;
  }

  test('in the middle of a run, again and again: what is owed is handed over anew, and the run ends', async () => {
    const { db } = database;
    const { organizationId, connectionId } = await organizationWith(db, members);
    await worker().start();
    const runId = await db
      .transaction()
      .execute((trx) => startOrganizationRun(trx, { connectionId, cause: 'activated', actor: 'schedule' }));
    const places = new Set<string>();
    for (let i = 0; i < wipes; i++) {
      await until('a new place', async () => {
        const { state, phase, cursor } = await runState(db, runId);
        if (state === 'done') throw new Error(`The run was over after ${i} wipes: it was not tried`);
        return cursor !== null && !places.has(`${phase} ${cursor}`);
      });
      await wipeQueue(db, queue.redisUrl());
      const { phase, cursor } = await runState(db, runId);
      places.add(`${phase} ${cursor}`);
      // Lease 8 s and 20 s without a heartbeat: the tick takes it for left behind.
      await passTime(db, 60);
    }
    await until('the end of the run', async () => (await runState(db, runId)).state === 'done');
    expect(await stored(db, organizationId)).toEqual({ organization: members });
  });

  test('with looks that nobody took: one reconciliation of the organization finds them', async () => {
    const { db } = database;
    const { organizationId } = await organizationWith(db, 40);
    const working = worker();
    await working.start();
    await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(db);
    await until('every member', async () => (await stored(db, organizationId))['organization'] === 40);
    await working.stop();

    const why = { actor: 'operator:jo', reason: 'try' } as const;
    await db.transaction().execute((trx) => upsertSwitch(trx, { name: 'pause_all', ...why }));
    await worker().start();
    // Few enough for the guard, which would hold the run for a person.
    await sql`
      with gone as (
        update steward_app.members set active = false
         where id in (select id from steward_app.members where organization_id = ${organizationId} order by id limit 3)
        returning id)
      select steward.changed('member', id) from gone`.execute(db);
    const watcher = createQueue(
      {
        queue: queue.kind,
        queuePrefix: prefix,
        databaseUrl: new Secret(database.url),
        redisUrl: queue.redisUrl() === null ? null : new Secret(queue.redisUrl() as string),
        concurrency: {},
      },
      { db, telemetry: createTelemetry() },
    );
    stops.push(() => watcher.close());
    const looks = async () => (await watcher.undone('quick')).filter(({ job }) => job === 'reconcile-member').length;
    await until('looks that wait in the queue alone', async () => {
      const { rows } = await sql`select from steward.outbox where job = 'reconcile-member'`.execute(db);
      return rows.length === 0 && (await looks()) === 3;
    });
    await wipeQueue(db, queue.redisUrl());
    await db.transaction().execute((trx) => deleteSwitches(trx, ['pause_all']));
    expect(await looks()).toBe(0);
    await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(db);
    await until('what is owed', async () => (await stored(db, organizationId))['none'] === 3);
    expect(await stored(db, organizationId)).toEqual({ organization: 37, none: 3 });
  });
});
