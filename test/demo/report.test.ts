import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createNarrator } from '../../src/demo/report.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function told(): { lines: () => string[]; narrator: ReturnType<typeof createNarrator> } {
  let text = '';
  const out = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { lines: () => text.trimEnd().split('\n'), narrator: createNarrator(out, { color: false }) };
}

test('rate and time left are those of the stage, not of the step', () => {
  const { lines, narrator } = told();
  vi.advanceTimersByTime(5_000);
  narrator.step('Fan-out');
  narrator.progress({ stage: 'facts', done: 0, total: 1_000 });
  vi.advanceTimersByTime(10_000);
  narrator.progress({ stage: 'facts', done: 500, total: 1_000 });
  narrator.progress({ stage: 'members', done: 0, total: 1_000 });
  vi.advanceTimersByTime(2_000);
  narrator.progress({ stage: 'members', done: 400, total: 1_000 });
  expect(
    lines()
      .slice(1)
      .map((line) => line.trim()),
  ).toEqual([
    '1. Fan-out',
    'facts 0/1,000',
    'facts 500/1,000  50/s, 10 s left',
    'members 0/1,000',
    'members 400/1,000  200/s, 3.0 s left',
  ]);
});

test('without a terminal a line a second at most', () => {
  const { lines, narrator } = told();
  vi.advanceTimersByTime(5_000);
  narrator.step('Fan-out');
  for (let done = 0; done <= 1_000; done += 10) {
    narrator.progress({ stage: 'facts', done, total: 1_000 });
    vi.advanceTimersByTime(25);
  }
  expect(lines().length).toBeLessThan(6);
});
