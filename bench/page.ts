import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import type { BenchResult } from './measure.ts';
import { type Line, plotCost } from './plot.ts';
import { serverSettings } from './run-work.ts';
import { type Target, targets } from './targets.ts';

export type Measured = {
  readonly queue: 'postgres' | 'redis';
  /** day */
  readonly at: string;
  /** processes that wanted to run when it ended, ours included; more than processors: neighbours are in the figures */
  readonly load: number;
  readonly result: BenchResult;
};

const thousands = (value: number): string => value.toLocaleString('en-US');

function row(target: Target, queue: 'postgres' | 'redis', all: readonly Measured[]): string {
  const found = all
    .filter(
      (known) => known.result.work === target.work && known.queue === queue && known.result.members <= target.size,
    )
    .sort((a, b) => b.result.members - a.result.members)[0];
  const where = queue === 'redis' ? 'Redis' : 'Postgres';
  if (!found) return `| ${target.title} | ${target.against} | ${target.atLeast} | ${where} | – | *not measured* |`;
  const { result } = found;
  const full = result.members >= target.size;
  const verdict = !target.met(result) ? '*not met*' : full ? 'met' : `met at ${thousands(result.members)} only`;
  return `| ${target.title} | ${target.against} | ${target.atLeast} | ${where} | ${thousands(result.members)}: ${target.figure(result)} | ${verdict} |`;
}

const plots: readonly { readonly work: string; readonly title: string; readonly of: string }[] = [
  { work: 'fanout', title: 'Fan-out', of: 'members' },
  { work: 'cascade', title: 'Cascade', of: 'event types' },
  { work: 'plan', title: 'Plan without drift', of: 'members' },
  { work: 'announced', title: 'Plan after 1,000 announced changes', of: 'members' },
  { work: 'resolve', title: 'Resolve one member, p99', of: 'members' },
];

function linesOf(work: string, all: readonly Measured[]): Line[] {
  const results = all
    .filter((known) => known.result.work === work && known.queue === 'postgres')
    .map(({ result }) => result);
  const line = (name: string, cost: (result: BenchResult) => number | null): Line => ({
    name,
    points: results.flatMap((result): [number, number][] => {
      const value = cost(result);
      return value === null || value <= 0 ? [] : [[result.members, value]];
    }),
  });
  if (work === 'resolve') return [line('ours', ({ p99Ms }) => p99Ms && p99Ms / 1000)];
  return [
    line('ours', ({ ours }) => ours.s),
    line('limit', ({ limit }) => limit?.s ?? null),
    line('rival, its time a row × rows', ({ rival, members }) => rival && (rival.s / rival.members) * members),
  ].filter(({ points }) => points.length > 0);
}

/** Writes docs/benchmarks.md and its plots. What stands below the mark on the page is written by hand and kept. */
export function writePage(directory: string, all: readonly Measured[]): void {
  const drawn = plots.filter(({ work }) => linesOf(work, all).some(({ points }) => points.length > 1));
  for (const { work, title } of drawn)
    writeFileSync(join(directory, `${work}.svg`), plotCost(`${title}: cost against size`, linesOf(work, all)));
  const page = join(directory, '../benchmarks.md');
  const kept = /<!-- by hand -->[\s\S]*/.exec(readIfThere(page))?.[0] ?? '<!-- by hand -->\n';
  writeFileSync(
    page,
    `# Benchmarks

Written by \`npm run -s bench -- all\`; every figure is in [results.json](benchmarks/results.json), how each was taken below.

${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.version}, embedded Postgres 18 with its default settings (fsync on)
but for ${serverSettings.map((setting) => `\`${setting}\``).join(', ')}: the same server for both sides of every comparison, which run one after the other in
one run, on the same data; a load beyond the number of processors means that neighbours ran at the same time, and that\ntimes by the clock are theirs as well: then only what both sides share, a ratio, says something. Measured ${[...new Set(all.map(({ at }) => at))].sort().join(', ')}.

| work | against | at least | queue | reached | |
| --- | --- | --- | --- | --- | --- |
${targets.flatMap((target) => target.queues.map((queue) => row(target, queue, all))).join('\n')}

## Cost against size

${drawn.map(({ work, title, of }) => `![${title}: cost against ${of}](benchmarks/${work}.svg)`).join('\n\n')}

## What each side did, and did not do

${all.map(({ queue, load, result }) => `- **${result.work}, ${thousands(result.members)}, ${queue}** (load ${load}): ours ${result.ours.s} s${result.limit ? `, limit ${result.limit.s} s` : ''}${result.rival ? `, rival ${result.rival.s} s for ${thousands(result.rival.members)} (${result.rival.name})` : ''}${result.p50Ms === null ? '' : `, p50 ${result.p50Ms} ms, p99 ${result.p99Ms} ms`}. ${result.notes}`).join('\n')}

${kept}`,
  );
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
