import { expect, test } from 'vitest';
import { createReleaseStack } from '../../src/release-stack.ts';
import { createTelemetry } from '../../src/telemetry.ts';

test('telling never throws, and goes on to the other listeners', () => {
  const telemetry = createTelemetry();
  const seen: unknown[] = [];
  telemetry.on('listener_lost', () => {
    throw new Error('a broken listener');
  });
  telemetry.onAny(() => {
    throw new Error('another');
  });
  telemetry.on('listener_lost', (event) => seen.push(event));
  const off = telemetry.onAny((name) => seen.push(name));
  telemetry.emit('listener_lost', { detail: 'cut' });
  off();
  telemetry.emit('listener_ready', { afterMs: 1 });
  expect(seen).toEqual([{ detail: 'cut' }, 'listener_lost']);
});

test('what was opened is closed last first, all of it, once', async () => {
  const closed: string[] = [];
  const stack = createReleaseStack();
  stack.add('first', () => void closed.push('first'));
  stack.add('second', async () => {
    closed.push('second');
    throw new Error('would not close');
  });
  stack.add('third', async () => void closed.push('third'));
  const failures = await stack.release();
  expect(closed).toEqual(['third', 'second', 'first']);
  expect(failures.map(({ name }) => name)).toEqual(['second']);
  expect(await stack.release()).toEqual([]);
  expect(closed).toHaveLength(3);
});
