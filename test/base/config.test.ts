import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { type Environment, parseConfig } from '../../src/config.ts';

const key = randomBytes(32).toString('base64');
const whole: Environment = {
  STEWARD_MODE: 'production',
  DATABASE_URL: 'postgres://steward:hunter2@db.example/steward',
  STEWARD_KEYS: `k1:${key}`,
  ZOOM_ADMIN_CLIENT_ID: 'admin_client',
  ZOOM_ADMIN_CLIENT_SECRETS: 'first-secret, second-secret',
  STEWARD_PUBLIC_URL: 'https://zoom.example.com/',
};

const problems = (over: Environment): string[] => {
  try {
    parseConfig({ ...whole, ...over });
    return [];
  } catch (error) {
    return String((error as Error).message)
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
};

test('a whole environment becomes a whole, frozen configuration', () => {
  const config = parseConfig(whole);
  expect(config).toMatchObject({
    mode: 'production',
    queue: 'postgres',
    publicUrl: 'https://zoom.example.com',
    concurrency: { quick: 4, bulk: 2, zoom: 4 },
    locationAdapter: 'rows',
    guardShare: 0.1,
    keys: { activeId: 'k1' },
    zoom: { personal: null, baseUrl: null, share: 0.25 },
  });
  expect(config.zoom.admin.secrets.map((secret) => secret.reveal())).toEqual(['first-secret', 'second-secret']);
  expect(Object.isFrozen(config) && Object.isFrozen(config.zoom) && Object.isFrozen(config.keys.ring)).toBe(true);
});

test('the queue follows REDIS_URL unless it is said', () => {
  expect(parseConfig({ ...whole, REDIS_URL: 'redis://h:6379' }).queue).toBe('redis');
  expect(parseConfig({ ...whole, REDIS_URL: 'redis://h:6379', STEWARD_QUEUE: 'postgres' }).queue).toBe('postgres');
  expect(problems({ STEWARD_QUEUE: 'redis' })).toEqual([expect.stringMatching(/^REDIS_URL: /)]);
});

test('REDIS_URL names one server, or the nodes of a cluster', () => {
  const urls = 'redis://a:6379, redis://b:6379';
  expect(parseConfig({ ...whole, REDIS_URL: urls }).redisUrl?.reveal()).toBe(urls);
  for (const wrong of ['http://a', 'redis://a:6379,', 'redis://a:6379/1,redis://b:6379/1'])
    expect(problems({ REDIS_URL: wrong })).toEqual([expect.stringMatching(/^REDIS_URL: expected /)]);
});

test('all problems are reported together, by the name of their variable', () => {
  const found = problems({
    DATABASE_URL: undefined,
    STEWARD_KEYS: 'k1:short',
    STEWARD_CONCURRENCY_BULK: 'many',
    STEWARD_GUARD_SHARE: '7',
    STEWARD_PUBLIC_URL: 'http://zoom.example.com',
    ZOOM_BASE_URL: 'http://127.0.0.1:4010',
  });
  expect(found.map((line) => line.split(':')[0]).sort()).toEqual([
    'DATABASE_URL',
    'STEWARD_CONCURRENCY_BULK',
    'STEWARD_GUARD_SHARE',
    'STEWARD_KEYS',
    'STEWARD_PUBLIC_URL',
    'ZOOM_BASE_URL',
  ]);
});

test('an app whose grants the main app refreshes is none of ours', () => {
  const personal = { ZOOM_PERSONAL_CLIENT_ID: 'own', ZOOM_PERSONAL_CLIENT_SECRETS: 'secret' };
  expect(problems({ ...personal, ZOOM_EXTERNAL_CLIENT_IDS: 'theirs' })).toEqual([]);
  for (const ours of ['own', 'admin_client'])
    expect(problems({ ...personal, ZOOM_EXTERNAL_CLIENT_IDS: `theirs, ${ours}` })).toEqual([
      expect.stringMatching(/^ZOOM_EXTERNAL_CLIENT_IDS: /),
    ]);
});

test('another Zoom than Zoom’s needs simulator mode, and production refuses it', () => {
  const simulator = { ZOOM_BASE_URL: 'http://127.0.0.1:4010' };
  expect(problems(simulator)).toEqual([expect.stringContaining('STEWARD_MODE=simulator')]);
  expect(problems({ ...simulator, STEWARD_MODE: 'development' })).toEqual([
    expect.stringContaining('STEWARD_MODE=simulator'),
  ]);
  expect(problems({ ...simulator, STEWARD_MODE: 'simulator' })).toEqual([]);
  expect(problems({ STEWARD_MODE: 'simulator' })).toEqual([expect.stringMatching(/^ZOOM_BASE_URL: /)]);
});

test('keys come from a file too; each id once; the active one is in the ring', () => {
  const dir = mkdtempSync(join(tmpdir(), 'steward-keys-'));
  try {
    writeFileSync(join(dir, 'ring'), `new:${key}\nold:${randomBytes(32).toString('base64')}\n`);
    const config = parseConfig({
      ...whole,
      STEWARD_KEYS: undefined,
      STEWARD_KEYS_FILE: join(dir, 'ring'),
      STEWARD_ACTIVE_KEY: 'old',
    });
    expect(config.keys.ring.map(({ id }) => id)).toEqual(['new', 'old']);
    expect(config.keys.activeId).toBe('old');
    expect(problems({ STEWARD_KEYS: undefined, STEWARD_KEYS_FILE: join(dir, 'nowhere') })).toEqual([
      'STEWARD_KEYS_FILE: expected a readable file, got ENOENT',
      expect.stringMatching(/^STEWARD_KEYS: /),
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
  expect(problems({ STEWARD_KEYS: `a:${key},a:${key}` })).toEqual([
    'STEWARD_KEYS: expected each key id once, got a twice',
  ]);
  expect(problems({ STEWARD_ACTIVE_KEY: 'b' })).toEqual([expect.stringMatching(/^STEWARD_ACTIVE_KEY: /)]);
});

test('no secret is ever echoed: not by a problem, not by printing the configuration', () => {
  const secrets = ['hunter2', key, 'first-secret', 'second-secret'];
  const config = parseConfig(whole);
  const texts = [JSON.stringify(config), inspect(config, { depth: 9 }), String(config.databaseUrl)];
  for (const broken of [
    { DATABASE_URL: 'mysql://steward:hunter2@db.example/steward' },
    { STEWARD_KEYS: `k1:${key}x,${key}` },
    { STEWARD_ACTIVE_KEY: key },
    { ZOOM_PERSONAL_CLIENT_ID: 'first-secret' },
    { STEWARD_MODE: 'hunter2' },
    { STEWARD_GUARD_SHARE: 'hunter2' },
  ])
    texts.push(problems(broken).join('\n') || 'no problem found');
  for (const secret of secrets) for (const text of texts) expect(text).not.toContain(secret);
  expect(texts).not.toContain('no problem found');
});

test('an empty variable is an unset one', () => {
  expect(parseConfig({ ...whole, REDIS_URL: '', STEWARD_LOG_LEVEL: '' })).toMatchObject({
    queue: 'postgres',
    logLevel: 'info',
  });
});
