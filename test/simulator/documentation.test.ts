import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createControl } from '../../src/simulator/control.ts';
import { toggleNames, toggleTable } from '../../src/simulator/toggles.ts';
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
});

test('the page names every control method', () => {
  for (const name of Object.keys(createControl({} as ZoomState))) expect(page).toContain(`\`${name}\``);
});
