import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const entry = join(import.meta.dirname, '../../bin/zoom-steward.mjs');

test('on a Node that is too old the command says one sentence and exits 1', () => {
  const older = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '20.11.0' })`;
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--import', older, entry, 'status'], {
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/^Expected Node 24 or newer, got 20\.11\.0\. .*\n$/);
});

test('nothing is resolved before that sentence: a name that an old Node lacks would be a SyntaxError instead', () => {
  const statics = readFileSync(entry, 'utf8').match(/^import\b.*$/gm);
  expect(statics).toEqual(["import './require-node.mjs';"]);
});
