import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createControl } from '../../src/simulator/control.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type ToggleName, toggleNames, toggleTable } from '../../src/simulator/toggles.ts';
import type { ZoomState } from '../../src/simulator/zoom-state.ts';

const page = readFileSync(new URL('../../docs/zoom-simulator.md', import.meta.url), 'utf8');

test('the page shows every toggle with its source and readings as they are', () => {
  for (const name of toggleNames) {
    const { about, source, readings, cruel } = toggleTable[name];
    const listed = readings.map((reading) => `\`${reading}\``).join(', ');
    expect(page).toContain(`| \`${name}\` | ${about} | ${source} | ${listed} | \`${cruel}\` |`);
  }
  const rows = page.split('\n').filter((line) => /^\| `[a-z_0-9]+` \| .* \| [CF?] \|/.test(line));
  expect(rows).toHaveLength(toggleNames.length);
  expect(page).toContain(`\`pairwiseProfiles()\` gives ${pairwiseProfiles().length} profiles`);
});

test('the page names every control method', () => {
  for (const name of Object.keys(createControl({} as ZoomState))) expect(page).toContain(`\`${name}\``);
});

describe('each fact about Zoom, and what is known about it', () => {
  const [, section = ''] = /## Each fact.*?\n(.*?)\n## /s.exec(page) ?? [];
  const facts = section
    .split('\n')
    .filter((line) => /^\| (?!fact |---|\*\*)/.test(line))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
  const namesIn = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

  test('each is confirmed by somebody, unconfirmed with its toggle, or recorded', () => {
    expect(facts.length).toBeGreaterThan(60);
    for (const row of facts) {
      expect(row, row[0]).toHaveLength(4);
      expect(row[1], row[0]).toMatch(
        /^(confirmed (C|F|C\/F)(: `\w+`)?|unconfirmed: `\w+`|recorded [\d-]+: `\w+` is `\w+`)$/,
      );
    }
  });

  test('every toggle is named once, and what is named is a toggle', () => {
    const named = facts.map(([, state]) => namesIn(state)[0]).filter((name) => name !== undefined);
    expect([...named].sort()).toEqual([...toggleNames].sort());
  });

  test('what nobody could confirm is not listed as confirmed', () => {
    const confirmed = facts.filter(([, state = '']) => state.startsWith('confirmed'));
    const doubtful = confirmed.flatMap(([, state]) => namesIn(state)).filter((name) => sourceOf(name) === '?');
    expect(doubtful).toEqual([]);
  });

  test('simulator and client hold it where the table says', () => {
    const missing = facts.flatMap(([, , simulator, client]) =>
      [...namesIn(simulator).map((file) => `simulator/${file}`), ...namesIn(client)].filter(
        (file) => !existsSync(new URL(`../../src/${file}`, import.meta.url)),
      ),
    );
    expect(missing).toEqual([]);
  });
});

const sourceOf = (name: string): string => toggleTable[name as ToggleName].source;
