import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { BenchResult } from './measure.ts';
import { type Measured, writePage } from './page.ts';
import { render } from './render.ts';
import { runWork } from './run-work.ts';
import { targets } from './targets.ts';

/** Works whose cost is drawn against the size; the others are measured where they are judged. */
const drawn = new Set(['fanout', 'cascade', 'plan', 'announced', 'resolve']);
const smallest = 1_000;

const directory = join(import.meta.dirname, '../docs/benchmarks');
const resultsFile = join(directory, 'results.json');

function readResults(): Measured[] {
  try {
    return JSON.parse(readFileSync(resultsFile, 'utf8')) as Measured[];
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return [];
    throw error;
  }
}

/** What is measured: each work at its size on its queues, and drawn ones at every power of ten below, on Postgres. */
function requests(only: readonly string[], most: number) {
  const found = new Map<string, { work: string; members: number; queue: 'postgres' | 'redis' }>();
  for (const { work, size, queues } of targets.filter((target) => only.includes(target.work))) {
    const judgedAt = Math.min(size, most);
    for (const queue of queues) found.set(`${work} ${judgedAt} ${queue}`, { work, members: judgedAt, queue });
    if (drawn.has(work))
      for (let members = smallest; members < judgedAt; members *= 10)
        found.set(`${work} ${members} postgres`, { work, members, queue: 'postgres' });
  }
  return [...found.values()].sort((a, b) => a.members - b.members);
}

/**
 * Every benchmark, small sizes first. Results are kept as they come, so that a part can be measured again;
 * the page and its plots are written from all of them. One that fails is said on stderr and keeps none from its turn.
 * @returns what failed
 */
export async function benchAll(options: {
  readonly only: readonly string[];
  readonly members: number;
  readonly sample: number;
}): Promise<readonly string[]> {
  mkdirSync(directory, { recursive: true });
  const failed: string[] = [];
  const asked = requests(options.only, options.members);
  for (const [index, { work, members, queue }] of asked.entries()) {
    const what = `${work}, ${members.toLocaleString('en-US')}, ${queue}`;
    const startedAt = performance.now();
    let result: BenchResult;
    try {
      result = await runWork(work, { members, sample: options.sample, queue });
    } catch (error) {
      failed.push(what);
      process.stderr.write(`bench: ${what} failed: ${(error as Error).stack ?? String(error)}\n`);
      continue;
    }
    process.stdout.write(render(result));
    const took = Math.round((performance.now() - startedAt) / 1000);
    process.stderr.write(`${index + 1} of ${asked.length}: ${what} took ${took} s\n`);
    const others = readResults().filter(
      (known) => known.result.work !== work || known.result.members !== members || known.queue !== queue,
    );
    const all = [
      ...others,
      { queue, at: new Date().toISOString().slice(0, 10), load: Number(loadavg()[0]?.toFixed(1)), result },
    ].sort(
      (a, b) =>
        a.result.work.localeCompare(b.result.work) ||
        a.result.members - b.result.members ||
        (a.queue < b.queue ? -1 : 1),
    );
    writeFileSync(resultsFile, `${JSON.stringify(all, null, 2)}\n`);
    writePage(directory, all);
  }
  return failed;
}
