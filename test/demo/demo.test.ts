import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler, sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { askChecks, beginChecks } from '../../src/demo/ask-checks.ts';
import { createChecker } from '../../src/demo/checker.ts';
import { checks, moments } from '../../src/demo/checks.ts';
import { checkNames, type DemoReport, runDemo } from '../../src/demo/main.ts';
import { type CheckResult, createNarrator } from '../../src/demo/report.ts';
import { findRedisServer } from '../../src/embedded/redis.ts';

const silent = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() });
const play = { seed: 3, out: silent(), color: false, breakCheck: null } as const;

const copyAgain = `
  insert into steward.archived_locations
  select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).* from steward.archived_locations a order by a.id limit 1`;

/** How many violations a check finds after some damage, which is undone. */
async function violationsOf(db: Database, name: string, damage: string): Promise<number> {
  const check = checks.find((one) => one.name === name);
  if (!check) throw new Error(`There is no check "${name}"`);
  const trx = await db.startTransaction().execute();
  try {
    await sql.raw(damage).execute(trx);
    return (await sql.raw(check.sql).execute(trx)).rows.length;
  } finally {
    await trx.rollback().execute();
  }
}

test('what was answered when the story had broken off is told', async () => {
  const asked = Promise.withResolvers<void>();
  class SlowDriver extends DummyDriver {
    override async acquireConnection() {
      const connection = await super.acquireConnection();
      const answer = async () => {
        await asked.promise;
        return { rows: [{ what: 'a violation' }] } as never;
      };
      return Object.assign(connection, {
        executeQuery: ({ sql: text }: { sql: string }) =>
          text.startsWith('set') || text === 'select 1' ? Promise.resolve({ rows: [] }) : answer(),
      });
    }
  }
  const db = new Kysely<never>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new SlowDriver(),
      createIntrospector: (one) => new PostgresIntrospector(one),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  let told = '';
  const out = new Writable({
    write(text, _encoding, done) {
      told += String(text);
      done();
    },
  });
  const checker = createChecker({
    db: db as never,
    narrator: createNarrator(out, { color: false }),
    breakCheck: null,
    afterMoment: undefined,
  });
  await checker.after('The admin is demoted', 'at_risk', () => {});
  expect(told).not.toContain('✗');
  asked.resolve();
  await checker.settle();
  expect(told).toContain('As it was after “The admin is demoted”');
  expect(told).toContain('✗ at risk, and nothing else: 1 violation');
});

describe('the story', () => {
  /** what failed when each check's damage was done, by the name of the damaged check */
  const damaged = new Map<string, string[]>();
  /** of checks that had begun before their subject was damaged */
  let asItWas: CheckResult[] = [];
  let copiedTwice = 0;
  let report: DemoReport;

  beforeAll(async () => {
    report = await runDemo({
      ...play,
      members: 220,
      queue: 'postgres',
      async afterMoment(db, moment) {
        for (const check of checks.filter(({ at }) => at === moment)) {
          const results = await askChecks(db, moment, check.name);
          damaged.set(
            check.name,
            results.filter(({ ok }) => !ok).map(({ name }) => name),
          );
        }
        if (moment === 'disconnected') copiedTwice = await violationsOf(db, 'what was removed is archived', copyAgain);
        if (moment !== 'at_risk') return;
        const { rows } = await sql<{
          reason: string;
        }>`select at_risk_reason as reason from steward.org_connections`.execute(db);
        await db.connection().execute(async (one) => {
          await sql`set idle_in_transaction_session_timeout = '200ms'`.execute(one);
          const turn = Promise.withResolvers<void>();
          const { results } = await beginChecks(one, moment, turn.promise);
          await sql`update steward.org_connections set at_risk_reason = null`.execute(db);
          await pause(400);
          turn.resolve();
          asItWas = await results;
          await sql`reset idle_in_transaction_session_timeout`.execute(one);
        });
        await sql`update steward.org_connections set at_risk_reason = ${rows[0]?.reason}`.execute(db);
      },
    });
  }, 150_000);

  test('checks that go on beside the story see the database as it was when they were begun, however long they wait', () => {
    expect(asItWas.map(({ name }) => name)).toContain('at risk, and nothing else');
    expect(asItWas.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('holds every check', () => {
    expect(report.checks.filter((check) => !check.ok)).toEqual([]);
    expect(report.checks.map((check) => check.name)).toEqual(checkNames);
    expect(report.ok).toBe(true);
  });

  test.each(checkNames)('with its damage exactly this check fails: %s', (name) => {
    expect(damaged.get(name)).toEqual([name]);
  });

  test('a row that is there twice, alike in all that is compared, is a violation', () => {
    expect(copiedTwice).toBeGreaterThan(0);
  });

  test('every moment has a check, and every name is its own', () => {
    expect(new Set(checks.map(({ at }) => at))).toEqual(new Set(moments));
    expect(new Set(checkNames).size).toBe(checkNames.length);
  });

  test('goes through the queue, and says through which server', () => {
    const { jobs, runId } = report.queueServer;
    expect(runId).not.toBe('');
    for (const job of [
      'verify-admin-role',
      'sync-zoom-directory',
      'reconcile-organization',
      'reconcile-member',
      'disconnect-organization',
      'reconcile-due',
    ]) {
      expect(jobs[job], job).toBeGreaterThan(0);
    }
  });
});

test('ten members are enough; --break fails the whole demo', async () => {
  const report = await runDemo({ ...play, members: 10, queue: 'postgres', breakCheck: 'everyone is served' });
  expect(report.ok).toBe(false);
  expect(report.checks.filter((check) => !check.ok).map((check) => check.name)).toEqual(['everyone is served']);
}, 150_000);

test('a check that does not exist is refused before anything starts', async () => {
  await expect(runDemo({ ...play, members: 60, queue: 'postgres', breakCheck: 'nothing' })).rejects.toThrow(
    /got "nothing"; the checks are/,
  );
});

const redis = findRedisServer();
if (!redis && process.env['CI'] !== 'true')
  process.stderr.write('SKIPPED: the demo on Redis, because neither redis-server nor valkey-server is on PATH\n');
test.skipIf(!redis && process.env['CI'] !== 'true')(
  'plays on Redis too',
  async () => {
    const report = await runDemo({ ...play, members: 60, queue: 'redis' });
    expect(report.checks.filter((check) => !check.ok)).toEqual([]);
    expect(report.queueServer.runId).toMatch(/^[0-9a-f]{40}$/);
  },
  150_000,
);
