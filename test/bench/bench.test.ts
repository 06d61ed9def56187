import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const entry = join(import.meta.dirname, '../../bench/main.ts');
const patienceMs = 120_000;

async function bench(...line: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [entry, ...line], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: code as number, out, err };
}

// One with a worker and a rival, one without; all would take a minute of the suite's five.
test.each(['fanout', 'resolve'])(
  '%s --json is one object with exactly the fields of the contract; notes go to stderr',
  async (work) => {
    const { code, out, err } = await bench(work, '--members', '40', '--sample', '20', '--json');
    expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/\w.*\n$/) });
    const result = JSON.parse(out);
    expect(Object.keys(result)).toEqual([
      'work',
      'members',
      'ours',
      'limit',
      'rival',
      'ratioToLimit',
      'timesFaster',
      'p50Ms',
      'p99Ms',
      'peakRssMb',
    ]);
    expect(result).toMatchObject({
      work,
      members: 40,
      ours: { s: expect.any(Number) },
      limit: { s: expect.any(Number) },
    });
    if (work === 'fanout')
      expect(result.rival).toEqual({ name: expect.any(String), s: expect.any(Number), members: 20 });
    if (work === 'resolve') expect(result).toMatchObject({ p50Ms: expect.any(Number), p99Ms: expect.any(Number) });
  },
  patienceMs,
);

test.each([
  [
    ['fan-out'],
    /expected one of fanout, cascade, plan, announced, resolve, latency, poll, fairness, memory, all, got fan-out/,
  ],
  [[], /expected one of .* got nothing/],
  [['fanout', '--members', 'many'], /--members: expected a whole number from 20, got many/],
  [['fanout', '--membrs', '40'], /--membrs/],
  [['fanout', '--queue', 'kafka'], /--queue: expected postgres or redis, got kafka/],
  [['all', '--only', 'fanout,plans'], /--only: expected some of .*, got plans/],
])('wrong usage %j is said, with exit 2', async (line, says) => {
  const { code, out, err } = await bench(...line);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(says);
  expect(err).toContain('npm run -s bench -- WORK');
});
