import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');
// Ten seconds by themselves; patience for a machine that does ten other things.
const slowMs = 300_000;
let house = '';

/** A small house with the real rules: enough files for each stage to have something to say. */
beforeAll(() => {
  house = mkdtempSync(join(tmpdir(), 'steward-check-'));
  const rules = ['package.json', 'tsconfig.json', 'biome.json', 'knip.json', 'vitest.config.ts', '.gitignore'];
  const parts = [
    'bin',
    ...['config', 'errors', 'logger', 'scrub', 'secret', 'trace-context'].map((name) => `src/${name}.ts`),
    'src/db',
    'docs/contracts/app-schema.md',
  ];
  const embedded = ['postgres', 'free-port', 'load-embedded-postgres'].map((name) => `src/embedded/${name}.ts`);
  const scripts = ['check.ts', 'check-layers.ts', 'layers', 'generate-db-types.ts'].map((name) => `scripts/${name}`);
  const support = ['test/support/database.ts', 'test/support/global-postgres.ts', 'test/support/handle-guard.ts'];
  for (const path of [...rules, ...parts, ...embedded, ...scripts, ...support])
    cpSync(join(repository, path), join(house, path), { recursive: true });
  symlinkSync(join(repository, 'node_modules'), join(house, 'node_modules'));
  // The canary run knows the whole house; this one has a room of it.
  plant('test/support/canary/setup.ts', 'export {};\n');
  plant(
    'test/support/canary/watch-postgres.ts',
    'export const watchRows = (url: string): Promise<string> => Promise.resolve(url);\nexport const watchStatements = (): null => null;\n',
  );
  plant('src/cli/main.ts', `process.stdout.write('');\n`);
  plant('test/sound.test.ts', `import { expect, test } from 'vitest';\n\ntest('holds', () => expect(1).toBe(1));\n`);
});

afterAll(() => rmSync(house, { recursive: true, force: true }));

function plant(path: string, text: string): void {
  mkdirSync(dirname(join(house, path)), { recursive: true });
  writeFileSync(join(house, path), text);
}

/** Runs the check in the small house: exit code, what each stage printed, and the line each stage got in the end. */
function check(...args: string[]): Promise<{ code: number; output: string; said: Map<string, string> }> {
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1' };
  env['PATH'] = `${join(repository, 'node_modules/.bin')}:${process.env['PATH']}`;
  // What vitest tells its own children must not reach the vitest under test.
  for (const name of Object.keys(env)) if (name.startsWith('VITEST')) delete env[name];
  const command = `exec node scripts/check.ts ${args.join(' ')} 2>&1`;
  return new Promise((done) => {
    execFile('sh', ['-c', command], { cwd: house, env, maxBuffer: 1 << 26 }, (error, output) => {
      const sections = output.split(/^── ([a-z-]+): .*$/m).slice(1);
      const said = new Map<string, string>();
      for (let at = 0; at < sections.length; at += 2) said.set(sections[at] as string, sections[at + 1] as string);
      done({ code: error ? Number(error.code) : 0, output, said });
    });
  });
}

const failing = `import { expect, test } from 'vitest';\n\ntest('x', () => expect(1).toBe(2));\n`;
const leaking = `import { test } from 'vitest';\n\ntest('x', () => void setInterval(() => {}, 1000));\n`;
const upwards = `import '../database.ts';\n\nexport const up = async () => {};\n`;
const focused = `import { test } from 'vitest';\n\ntest.only('x', () => {});\n`;

/** One violation of each kind: stage, what it is, file, its text, and what the stage must say. */
const planted: readonly (readonly [stage: string, kind: string, path: string, text: string, says: RegExp])[] = [
  ['format', 'double quotes', 'src/quotes.ts', 'export const x = "x";\n', /^src\/quotes\.ts format/m],
  ['lint', 'console', 'src/speaks.ts', `console.log('x');\n`, /^src\/speaks\.ts:1:1 lint\/suspicious\/noConsole/m],
  ['lint', 'focused test', 'test/only.test.ts', focused, /^test\/only\.test\.ts:3:6 lint\/suspicious\/noFocusedTests/m],
  [
    'types',
    'string as number',
    'src/typed.ts',
    `export const x: number = 'x';\n`,
    /^src\/typed\.ts\(1,14\): error TS2322/m,
  ],
  ['layers', 'upwards', 'src/zoom/up.ts', `import '../db/database.ts';\n`, /up\.ts:1: zoom may not import db/],
  [
    'layers',
    'upwards, a type',
    'src/client/up.ts',
    `export type X = import('../secret.ts').Secret;\n`,
    /client may not import base/,
  ],
  [
    'layers',
    'sideways',
    'src/connections/side.ts',
    `import('../reconciliation/x.ts');\n`,
    /connections may not import reconciliation/,
  ],
  ['layers', 'circle', 'src/round.ts', `import './round.ts';\n`, /circle: src\/round\.ts → src\/round\.ts/],
  [
    'layers',
    'environment',
    'src/db/reads.ts',
    `export const { env } = process;\n`,
    /src\/db\/reads\.ts:1: reads process\.env/,
  ],
  [
    'layers',
    'signals',
    'src/queues/ends.ts',
    `process.once('SIGTERM', () => {});\n`,
    /src\/queues\/ends\.ts:1: handles signals/,
  ],
  ['layers', 'package', 'src/jobs/knows.ts', `import 'bullmq';\n`, /bullmq belongs to queues; jobs may not know it/],
  ['layers', 'migration', 'src/db/migrations/0009-x.ts', upwards, /a migration imports nothing from the app/],
  ['layers', 'empty name', 'src/db/utils.ts', '', /src\/db\/utils\.ts: the name says nothing/],
  ['layers', 'no layer', 'src/elsewhere/x.ts', '', /src\/elsewhere is no layer/],
  ['dead-code', 'unused file', 'src/unused.ts', 'export const x = 1;\n', /Unused files[\s\S]*^src\/unused\.ts/m],
  ['tests', 'failing test', 'test/fails.test.ts', failing, /FAIL {2}test\/fails\.test\.ts > x/],
  ['tests', 'leaked handle', 'test/leaks.test.ts', leaking, /got left open: 1 Timeout/],
];

describe('a planted violation of each kind', () => {
  let result: Awaited<ReturnType<typeof check>>;
  const schema = 'src/db/schema.ts';

  beforeAll(async () => {
    const sound = readFileSync(join(house, schema), 'utf8');
    for (const [, , path, text] of planted) plant(path, text);
    plant(schema, `${sound}export interface Planted {\n  x: string;\n}\n`);
    result = await check();
    plant(schema, sound);
    for (const [, , path] of planted) rmSync(join(house, path));
  }, slowMs);

  for (const [stage, kind, path, , says] of planted)
    test(`${stage} names ${kind} (${path})`, () => expect(result.said.get(stage)).toMatch(says));

  test('db-types names a file that is not what the database says', () => {
    expect(result.said.get('db-types')).toContain(`${schema} is not what the database says`);
  });

  test('every stage runs, fails, and so does the check', () => {
    const failed = [...result.output.matchAll(/^FAIL ([a-z-]+)/gm)].map(([, stage]) => stage);
    expect(failed).toEqual(['format', 'lint', 'types', 'layers', 'dead-code', 'db-types', 'tests']);
    expect(result.code).toBe(1);
  });
});

test(
  'without them the stages are green',
  async () => {
    const { code, output } = await check('--only', 'lint,types', '--only', 'layers');
    expect(output).toMatch(/^ok {3}lint .*\nok {3}types .*\nok {3}layers /m);
    expect(code).toBe(0);
  },
  slowMs,
);

test('an unknown stage is a usage error that names the stages', async () => {
  const { code, output } = await check('--only', 'typos');
  expect(output).toContain('expected a stage (format, lint, types, layers, dead-code, db-types, tests), got typos');
  expect(code).toBe(2);
});
