import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upsertFact } from '../../src/db/installation-repository.ts';
import { cancel } from '../../src/jobs/contract/result.ts';
import { type DeadLetter, listDeadLetters, replayDeadLetter } from '../../src/operating/dead-letters.ts';
import { createQueue } from '../../src/queues/create-queue.ts';
import { migratePostgresQueue } from '../../src/queues/postgres-backend.ts';
import type { QueueSystem } from '../../src/queues/queue.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { type RedisForTests, redisForTests, redisLacking } from '../queues/redis-server.ts';
import { consume, message, until } from '../queues/support.ts';
import { useDatabase } from '../support/database.ts';
import { type Played, playCli } from './play-cli.ts';

const why = ['--reason', 'the database was full', '--as', 'jo'];

function behaveOn(kind: 'postgres' | 'redis'): void {
  const database = useDatabase();
  let redis: RedisForTests | undefined;
  let queue: QueueSystem;
  const steward = (...line: string[]): Promise<Played> =>
    playCli(line, { env: { DATABASE_URL: database.url, ...(redis ? { REDIS_URL: redis.url } : {}) } });
  const json = async <T>(...line: string[]): Promise<T> => {
    const { out, err, code } = await steward(...line, '--json');
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    return JSON.parse(out) as T;
  };
  const owed = async () => {
    const { rows } = await sql<{ job: string; key: string; payload: object }>`
      delete from steward.outbox returning job, key, payload`.execute(database.db);
    return rows;
  };
  const audited = async () => {
    const { rows } = await sql<{ action: string; actor: string; reason: string; data: Record<string, unknown> }>`
      select action, actor, reason, data from steward.audit_log order by id desc limit 1`.execute(database.db);
    return rows[0];
  };

  /** Lets jobs of these keys fail for good. */
  async function bury(...keys: string[]): Promise<void> {
    const before = (await queue.depth('quick')).failed;
    const { consumer } = consume(queue, () => cancel('no such member'));
    await queue.publish(keys.map((key) => message(key)));
    await until('the dead letters', async () => (await queue.depth('quick')).failed === before + keys.length);
    await consumer.close();
  }

  beforeAll(async () => {
    if (kind === 'redis') redis = await redisForTests();
    else await migratePostgresQueue(new Secret(database.url));
    await upsertFact(database.db, 'queue', { kind, prefix: 'dl' });
    queue = createQueue(
      {
        queue: kind,
        queuePrefix: 'dl',
        databaseUrl: new Secret(database.url),
        redisUrl: redis ? new Secret(redis.url) : null,
        concurrency: { quick: 1 },
      },
      { db: database.db, telemetry: createTelemetry() },
    );
  });
  afterAll(async () => {
    await queue.close();
    await redis?.stop();
  });

  test('are listed, the latest first, shown, and said again through the outbox with an audit entry', async () => {
    expect((await steward('dead-letters', 'list')).out).toBe('There are no dead letters.\n');
    await bury('a');
    await bury('b');
    const { deadLetters } = await json<{ deadLetters: { ref: string; key: string }[] }>('dead-letters', 'list');
    expect(deadLetters.map(({ key }) => key)).toEqual(['b', 'a']);
    const ref = deadLetters[1]?.ref as string;
    const shown = await steward('dead-letters', 'show', ref);
    expect(shown.out).toContain('payload      {"key":"a"}');
    expect(shown.out).toContain('why          cancelled: no such member');

    expect((await steward('dead-letters', 'replay', ref)).code).toBe(3);
    expect(await json('dead-letters', 'replay', ref, ...why)).toEqual({ replayed: [ref] });
    expect(await owed()).toEqual([{ job: 'try-it', key: 'a', payload: { key: 'a' } }]);
    expect(await audited()).toMatchObject({
      action: 'dead_letter.replayed',
      actor: 'operator:jo',
      reason: 'the database was full',
      data: { ref, key: 'a' },
    });
    expect((await steward('dead-letters', 'replay', ref, ...why)).code).toBe(1);
    expect((await queue.failed('quick', 10)).map(({ key }) => key)).toEqual(['b']);
  });

  test('survive the death of the process that says them again: said, and still listed', async () => {
    await bury('crash');
    const [letter] = await listDeadLetters(queue, { limit: 1 });
    const dying = { ...queue, removeFailed: () => Promise.reject(new Error('killed here')) };
    const because = { actor: 'operator:jo', reason: 'trying' } as const;
    await expect(replayDeadLetter(database.db, dying, letter as DeadLetter, because)).rejects.toThrow('killed here');
    expect((await queue.failed('quick', 10)).map(({ key }) => key)).toContain('crash');
    expect(await owed()).toEqual([{ job: 'try-it', key: 'crash', payload: { key: 'crash' } }]);
    await replayDeadLetter(database.db, queue, letter as DeadLetter, because);
    expect((await queue.failed('quick', 10)).map(({ key }) => key)).not.toContain('crash');
    await owed();
  });

  test('are dropped one by one, by job or all; what they were stays in the audit log', async () => {
    await bury('c', 'd');
    expect((await steward('dead-letters', 'drop', ...why)).code).toBe(2);
    expect(await json('dead-letters', 'drop', '--job', 'another', ...why)).toEqual({ dropped: [] });
    const dropped = await json<{ dropped: string[] }>('dead-letters', 'drop', '--job', 'try-it', ...why);
    expect(dropped.dropped).toHaveLength(3);
    expect(await audited()).toMatchObject({ action: 'dead_letter.dropped', data: { payload: { key: 'b' } } });
    expect(await owed()).toEqual([]);
    expect((await queue.depth('quick')).failed).toBe(0);
    expect(await json('dead-letters', 'drop', '--all', ...why)).toEqual({ dropped: [] });
  });
}

describe('dead letters on Postgres', () => behaveOn('postgres'));

describe.skipIf(redisLacking !== undefined)('dead letters on Redis', () => behaveOn('redis'));
