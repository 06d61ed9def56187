import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createMetrics } from '../../src/operating/metrics.ts';
import { createTelemetry } from '../../src/telemetry.ts';

const repository = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');

const alerts = read('deploy/alerts.yml');
type Panel = {
  id: number;
  type: string;
  title: string;
  targets?: { expr: string }[];
  gridPos: Record<'x' | 'y' | 'w' | 'h', number>;
};
const dashboard = JSON.parse(read('deploy/grafana-dashboard.json')) as { panels: Panel[] };
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

const metrics = createMetrics(createTelemetry());
const published = new Set(metrics.names());
const family = (name: string): string => (published.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''));
const named = (text: string): string[] => [...new Set([...text.matchAll(/\bzoom_steward_\w+/g)].map(([name]) => name))];

/** Values a label may have, where alerts or panels choose by it. */
const values: Readonly<Record<string, readonly string[]>> = {
  state: ['active', 'interrupted', 'failed'],
  switch: ['pause_declaring'],
  which: ['newest', 'oldest', 'overdue'],
  queue: ['quick', 'bulk', 'zoom'],
  status_class: ['5xx', 'none'],
  outcome: ['temporarily_unavailable', 'internal', 'failed', 'invalid', 'retried', 'lost', 'rotated'],
};

const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .trim()
    .replaceAll(' ', '-');
const anchors = [...read('docs/runbook.md').matchAll(/^#{2,3} (.+)$/gm)].map(([, heading = '']) => slug(heading));

test('alerts and dashboard name only metrics that are published, and the dashboard shows all of them', () => {
  expect([...named(alerts), ...named(queries.join('\n'))].filter((name) => !published.has(family(name)))).toEqual([]);
  const shown = new Set(named(queries.join('\n')).map(family));
  expect([...published].filter((name) => !shown.has(name))).toEqual([]);
});

test('what they choose by is a value that there is', () => {
  const chosen = [...`${alerts}\n${queries.join('\n')}`.matchAll(/(\w+)(=|!=|=~)"([^"]+)"/g)];
  expect(chosen.length).toBeGreaterThan(10);
  const unknown = chosen.flatMap(([, label = '', , text = '']) =>
    text
      .split('|')
      .filter((value) => !values[label]?.includes(value))
      .map((value) => `${label}="${value}"`),
  );
  expect(unknown).toEqual([]);
});

test('every alert pages or is a ticket, says what is wrong, and has an entry in the runbook', () => {
  const rules = alerts.split(/^ {6}- alert: /m).slice(1);
  expect(rules.length).toBeGreaterThan(10);
  for (const rule of rules) {
    const [name = ''] = rule.split('\n', 1);
    expect(rule, name).toMatch(/severity: (page|ticket)/);
    expect(rule, name).toMatch(/^ {10}summary: \S/m);
    const [, page, anchor = ''] = /runbook_url: (docs\/runbook\.md)#([\w-]+)$/m.exec(rule) ?? [];
    expect(page, name).toBe('docs/runbook.md');
    expect(anchors, name).toContain(anchor);
    // The entry is about this alert: its heading is the alert's name in words.
    expect(anchor.replaceAll('-', ''), name).toBe(name.toLowerCase());
  }
});

test('pages are what customers feel, and no more than those', () => {
  const pages = [...alerts.matchAll(/alert: (\w+)(?:(?!alert:)[\s\S])*?severity: page/g)].map(([, name]) => name);
  expect(pages).toEqual([
    'FleetGuardHolds',
    'MeetingsRefusedBecauseOfUs',
    'ChangesWait',
    'NoVerificationFinishes',
    'KeyUnusable',
    'ZoomRefusesOurApplication',
  ]);
});

test('the runbook links lead somewhere, also from doctor', () => {
  const cited = [
    'src/operating/doctor/setup-checks.ts',
    'src/operating/doctor/work-checks.ts',
    'docs/operating.md',
    'docs/runbook.md',
  ].flatMap((file) => [...read(file).matchAll(/(?:runbook\.md|\()#([\w-]+)/g)].map(([, anchor]) => anchor));
  expect(cited.length).toBeGreaterThan(3);
  expect(cited.filter((anchor) => !anchors.includes(anchor as string))).toEqual([]);
});

test('every command that the pages tell people to type is one, with these options', () => {
  const help = new Map(
    [...read('docs/cli.md').matchAll(/^## zoom-steward ?(.*)$([\s\S]*?)(?=^## |(?![\s\S]))/gm)].map(
      ([, name = '', text = '']) => [name, text],
    ),
  );
  const typed = ['docs/runbook.md', 'docs/operating.md'].flatMap((file) =>
    [...read(file).matchAll(/zoom-steward ([a-z][^`#\n]*)/g)].map(([, line = '']) => line.trim()),
  );
  expect(typed.length).toBeGreaterThan(20);
  const wrong = typed.filter((line) => {
    const [first = '', second = ''] = line.split(/[\s\\]+/);
    const text = help.get(`${first} ${second}`) ?? help.get(first);
    const options = [...line.matchAll(/(--[a-z-]+)/g)].map(([option]) => option);
    return (
      text === undefined || options.some((option) => !text.includes(`${option} `) && !text.includes(`${option}\n`))
    );
  });
  expect(wrong).toEqual([]);
});

test('panels of the dashboard have ids of their own and do not lie upon each other', () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const overlap = panels.flatMap((a, i) =>
    panels
      .slice(i + 1)
      .filter(({ gridPos: b }) => {
        const { x, y, w, h } = a.gridPos;
        return x < b.x + b.w && b.x < x + w && y < b.y + b.h && b.y < y + h;
      })
      .map((b) => `${a.title} / ${b.title}`),
  );
  expect(overlap).toEqual([]);
});
