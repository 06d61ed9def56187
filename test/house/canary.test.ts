import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fastify from 'fastify';
import { Redis } from 'ioredis';
import { sql, type Transaction } from 'kysely';
import { generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createRandomSecret } from '../../src/connections/random-secret.ts';
import { insertAudit } from '../../src/db/audit-repository.ts';
import { insertEvent } from '../../src/db/event-repository.ts';
import { insertOutbox } from '../../src/db/outbox-repository.ts';
import type { DB } from '../../src/db/schema.ts';
import { createVault } from '../../src/grants/vault.ts';
import { createLogger } from '../../src/logger.ts';
import { Secret } from '../../src/secret.ts';
import { startSimulator } from '../../src/simulator/start-simulator.ts';
import { playCli } from '../cli/play-cli.ts';
import { redisForTests, redisLacking } from '../queues/redis-server.ts';
import { codeFor, connect } from '../simulator/visitor.ts';
import { findSecrets } from '../support/canary/encodings.ts';
import { takeLeaks } from '../support/canary/watch.ts';
import { takeLeaksOfChildren } from '../support/canary/watch-children.ts';
import { watchRows } from '../support/canary/watch-postgres.ts';
import { watchValues } from '../support/canary/watch-redis.ts';
import { useDatabase } from '../support/database.ts';

// Every test file is a canary run (test/support/canary/setup.ts). This one plants a secret in each sink, and takes away
// what was found, so that it does not fail of it.
const database = useDatabase();
const secret = createRandomSecret().reveal();
const sinks = (): string[] => [...new Set(takeLeaks().map(({ sink }) => sink))].sort();

beforeEach(() => void takeLeaks());
// Planted rows and statements would be found once more at the end of the file.
afterAll(() => void takeLeaks());

const encodings: Readonly<Record<string, (text: string) => string>> = {
  plain: (text) => text,
  'in the middle of base64': (text) => Buffer.from(`Basic x:${text}`).toString('base64'),
  'one byte later': (text) => Buffer.from(`Basic xy:${text}`).toString('base64'),
  'two bytes later': (text) => Buffer.from(`Basic xyz:${text}`).toString('base64url'),
  hex: (text) => Buffer.from(text).toString('hex'),
  'hex in capitals': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  percent: (text) => [...text].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join(''),
  'escaped in JSON': (text) =>
    [...text].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
  'its bytes as hex': (text) => Buffer.from(text, 'base64url').toString('hex'),
  'its bytes as base64 in something': (text) =>
    Buffer.concat([Buffer.from('k'), Buffer.from(text, 'base64url')]).toString('base64'),
};

describe('secrets carry marks', () => {
  test.each([
    ['link, cookie, ticket', () => createRandomSecret().reveal()],
    ['service key, claim secret', () => randomBytes(32).toString('base64url')],
    ['key of the vault', () => randomBytes(32).toString('base64')],
    ['state', generateRandomState],
    ['verifier', generateRandomCodeVerifier],
  ])('%s', (_what, make) => {
    expect(findSecrets(make())).toHaveLength(1);
    expect(make()).not.toBe(make());
  });

  test('codes and tokens of the simulator', async () => {
    const simulator = await startSimulator({ profile: 'kind' });
    try {
      const pair = await connect(simulator);
      for (const one of [codeFor(simulator, 'zu_admin'), pair.access, pair.refresh])
        expect(findSecrets(one)).toHaveLength(1);
    } finally {
      await simulator.stop();
    }
  });

  test('what is short or hashed carries none', () => {
    expect(findSecrets(`${randomBytes(16).toString('base64url')} ${crypto.randomUUID()}`)).toEqual([]);
  });
});

describe('a secret is found', () => {
  test.each(Object.keys(encodings))('in a log, %s', (name) => {
    const log = createLogger({ level: 'silent' });
    log.debug({ note: encodings[name]?.(secret) }, 'planted');
    expect(sinks()).toEqual(['log']);
  });

  test('in an error, and in its cause', () => {
    const log = createLogger({ level: 'silent' });
    log.error({ err: new Error('outer', { cause: new Error(`got ${secret}`) }) }, 'planted');
    expect(sinks()).toEqual(['log']);
    log.error({ err: new Error('outer', { cause: new Error('got nothing') }), token: secret }, 'clean');
    expect(sinks()).toEqual([]);
  });

  test('in what another process writes', async () => {
    const program = `process.stdout.write('${secret}'); require('node:fs').writeSync(2, '${secret}')`;
    const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    await once(child, 'exit');
    expect(takeLeaksOfChildren().map(({ sink }) => sink)).toEqual(['stdout', 'stderr']);
  });

  test('in what a command says', async () => {
    await playCli(['unknown-command', secret]);
    await playCli([`unknown-${secret}`]);
    expect(sinks()).toEqual(['stderr']);
  });

  test('in a page, an answer of the API, and a header; not where it is handed over', async () => {
    const app = fastify();
    app.get('/page', (_request, reply) => reply.type('text/html').send(`<p title="${secret}">`));
    app.get('/api', async () => ({ error: { message: `no such link ${secret}` } }));
    app.get('/header', (_request, reply) => reply.header('x-request', secret).send({}));
    app.get('/meant', (_request, reply) =>
      reply
        .header('set-cookie', `steward_attempt=${secret}; Path=/`)
        .send({ url: `https://x.example/connect/${secret}` }),
    );
    for (const [path, found] of [
      ['/page', ['http body']],
      ['/api', ['http body']],
      ['/header', ['http header']],
      ['/meant', []],
    ] as const) {
      await app.inject(path);
      expect(sinks(), path).toEqual(found);
    }
    await app.close();
  });

  test.each(Object.keys(encodings))('in a statement and in a row, %s', async (name) => {
    const { db } = database;
    const text = encodings[name]?.(secret) ?? '';
    await sql`select ${text}::text`.execute(db);
    expect(sinks()).toEqual(['postgres statement']);
    // As SQL would bring it about: nothing of it passes through a statement.
    const reversed = [...text].reverse().join('');
    await sql`create table if not exists planted (kind text, line text, document jsonb, bytes bytea)`.execute(db);
    for (const [column, value] of [
      ['line', sql`reverse(${reversed})`],
      ['document', sql`jsonb_build_object('deep', jsonb_build_array(reverse(${reversed})))`],
      ['bytes', sql`convert_to(reverse(${reversed}), 'utf8')`],
    ] as const) {
      await sql`insert into planted (${sql.ref(column)}) values (${value})`.execute(db);
      expect(sinks()).toEqual([]);
      await watchRows(database.url);
      expect(sinks(), column).toEqual(['postgres row']);
      await sql`truncate planted`.execute(db);
    }
  });

  test.each([
    [
      'the audit log',
      (trx: Transaction<DB>) =>
        insertAudit(trx, { organizationId: null, actor: 'schedule', action: 'x', data: { secret } }),
    ],
    [
      'an event',
      (trx: Transaction<DB>) => insertEvent(trx, { organizationId: randomUUID(), type: 'x', data: { secret } }),
    ],
    ['the payload of a job', (trx: Transaction<DB>) => insertOutbox(trx, { job: 'x', key: 'x', payload: { secret } })],
  ])('in %s', async (_what, write) => {
    const { db } = database;
    await db.transaction().execute<unknown>((trx) => write(trx));
    expect(sinks()).toEqual(['postgres statement']);
    await watchRows(database.url);
    expect(sinks()).toEqual(['postgres row']);
    await sql`truncate steward.audit_log, steward.events, steward.outbox`.execute(db);
  });

  test.skipIf(redisLacking !== undefined)('in a command and in a value of Redis', async () => {
    const server = await redisForTests();
    const redis = new Redis(server.url);
    try {
      await redis.hset('planted:job', 'data', JSON.stringify({ note: secret }));
      expect(sinks()).toEqual(['redis command']);
      await watchValues(server.url);
      expect(sinks()).toEqual(['redis value']);
      await redis.del('planted:job');
      await watchValues(server.url);
      expect(sinks()).toEqual([]);
    } finally {
      redis.disconnect();
      await server.stop();
    }
  });
});

test('what the vault has sealed is none', async () => {
  const { db } = database;
  const vault = createVault({
    keys: [{ id: 'k', key: new Secret(randomBytes(32).toString('base64')) }],
    activeKeyId: 'k',
  });
  const place = { table: 'grants', column: 'sealed_access', id: 'id', clientId: 'c', version: 1 } as const;
  const sealed = vault.seal(new Secret(secret), place);
  await sql`create table if not exists sealed (line text)`.execute(db);
  await sql`insert into sealed values (${sealed})`.execute(db);
  await watchRows(database.url);
  expect(takeLeaks()).toEqual([]);
});
