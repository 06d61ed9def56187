import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Packed, pack } from '../../scripts/pack/pack.ts';
import { emptyProject, linkPackages, oldestNode, ran, repository, typeCheck } from '../../scripts/pack/projects.ts';
import { capabilities } from '../../src/http/service-keys.ts';
import { useHttpStage } from '../http/stage.ts';
import { useEmptyDatabase } from './empty-database.ts';

const buildMs = 180_000;
const kinds = ['module', 'commonjs'] as const;
const temporary = mkdtempSync(join(tmpdir(), 'steward-packages-'));
let worker: Packed;
let client: Packed;

beforeAll(async () => {
  [worker, client] = await Promise.all([pack('.', temporary), pack('packages/client', temporary)]);
}, buildMs);
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

describe('zoom-steward, packed', () => {
  const project = join(temporary, 'worker');
  const installed = join(project, 'node_modules/zoom-steward');
  const empty = useEmptyDatabase();

  beforeAll(async () => {
    emptyProject(project, 'module');
    linkPackages(project);
    mkdirSync(installed);
    await ran('tar', ['-xzf', worker.tarball, '--strip-components=1', '-C', installed], { cwd: project });
  });

  test('holds what was built, every SQL program, and no source, test or secret', () => {
    const programs = readdirSync(join(repository, 'src/db/sql')).map((name) => `dist/db/sql/${name}`);
    expect(worker.files).toEqual(expect.arrayContaining([...programs, 'bin/zoom-steward.mjs', 'LICENSE', 'README.md']));
    expect(worker.files.filter((file) => !/^(bin|dist|docs)\/|^[^/]+$/.test(file))).toEqual([]);
    expect(worker.files.filter((file) => /^\.env$|(?<!\.d)\.ts$|\.tgz$|\.test\./.test(file))).toEqual([]);
  });

  test('migrates an empty database from what was built, below node_modules', async () => {
    const bin = join(installed, 'bin/zoom-steward.mjs');
    await ran(process.execPath, [bin, 'migrate', '--reference-app'], {
      cwd: project,
      env: { DATABASE_URL: empty().url },
    });
    const { rows } = await sql<{ answer: unknown }>`select steward.resolve_member(gen_random_uuid()) as answer`.execute(
      empty().db,
    );
    expect(rows).toHaveLength(1);
  });

  test('exports the client to import and require, as ./client and as the package itself', async () => {
    const names = 'Object.keys(client).sort().join()';
    const imports = `import * as client from 'zoom-steward/client'; process.stdout.write(${names})`;
    const requires = `const client = require('zoom-steward'); process.stdout.write(${names})`;
    const expected =
      'MeetingRefusedError,StewardRequestError,ZoomTokenRefused,claimLifetimeSeconds,createSteward,eventQueueName,eventTypes,meetingRefusals,parseEventBatch,signMemberClaim';
    const say = (type: string, text: string) =>
      ran(process.execPath, [`--input-type=${type}`, '-e', text], { cwd: project });
    expect(await say('module', imports)).toBe(expected);
    expect(await say('commonjs', requires)).toBe(expected);
  });

  test.each([
    { module: 'nodenext', moduleResolution: 'nodenext' },
    { module: 'esnext', moduleResolution: 'bundler' },
  ])('has types under $moduleResolution', async (options) => {
    await typeCheck(project, 'zoom-steward/client', options);
  });
});

describe('zoom-steward-client, packed', () => {
  const at = useHttpStage();

  beforeAll(async () => {
    // Without a dependency the install needs no network; a dependency would make it fail here.
    const args = ['install', '--offline', '--no-audit', '--no-fund', client.tarball];
    await Promise.all(kinds.map((type) => ran('npm', args, { cwd: emptyProject(join(temporary, type), type) })));
    await at().connectWithoutWorker();
  });

  test('has the version of the worker, no dependency, and weighs less than 3 MB', () => {
    const folder = join(temporary, 'module/node_modules');
    const manifest = JSON.parse(readFileSync(join(folder, 'zoom-steward-client/package.json'), 'utf8')) as object;
    expect(manifest).toMatchObject({ version: worker.version });
    expect(Object.keys(manifest).filter((name) => /dependencies/i.test(name))).toEqual([]);
    expect(readdirSync(folder).filter((name) => !name.startsWith('.'))).toEqual(['zoom-steward-client']);
    expect(client.unpackedBytes).toBeLessThan(3_000_000);
  });

  test.each([
    { type: 'module', script: 'with-import.mjs' },
    { type: 'commonjs', script: 'with-require.cjs' },
  ])(
    'works on the oldest Node in a project of type $type: announces, resolves, commands, meets, is refused',
    async (kind) => {
      const { server, services, claimSecret, organizationId, owner, user } = at();
      const announced = () =>
        services.db.selectFrom('steward.outbox').select('key').where('key', '=', user.memberId).execute();
      await services.db.deleteFrom('steward.outbox').execute();
      const env = {
        PG_PACKAGE: join(repository, 'node_modules/pg'),
        DATABASE: services.config.databaseUrl.reveal(),
        SERVER: server.url,
        SERVICE_KEY: (await at().client(capabilities)).key,
        CLAIM_SECRET: claimSecret,
        ORGANIZATION: organizationId,
        OWNER: owner.memberId,
        MEMBER: user.memberId,
      };
      const output = await ran(await oldestNode(), [kind.script], { cwd: join(temporary, kind.type), env });
      expect(JSON.parse(output)).toEqual({
        node: expect.stringMatching(/^\d+\./),
        effective: 'organization',
        meetings: { same: true, gone: 'unknown_meeting', toHost: true, raw: 200 },
        link: new URL(server.url).origin,
        refusal: { isRefusal: true, status: 403, code: expect.any(String) },
      });
      expect(await announced()).toHaveLength(1);
    },
  );

  test.each([
    { type: 'module', module: 'nodenext', moduleResolution: 'nodenext' },
    { type: 'commonjs', module: 'nodenext', moduleResolution: 'nodenext' },
    { type: 'module', module: 'esnext', moduleResolution: 'bundler' },
  ] as const)('has types in a project of type $type under $moduleResolution', async ({ type, ...options }) => {
    const project = join(temporary, `${type}-${options.moduleResolution}`);
    emptyProject(project, type);
    linkPackages(project, (name) =>
      ['@types', 'kysely', 'pg', 'pg-types', 'pg-protocol', 'undici-types'].includes(name),
    );
    await ran('cp', ['-r', join(temporary, type, 'node_modules/zoom-steward-client'), join(project, 'node_modules')], {
      cwd: project,
    });
    await typeCheck(project, 'zoom-steward-client', options);
  });
});
