import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { Database } from '../../src/db/database.ts';
import { defineJob } from '../../src/jobs/contract/define-job.ts';
import type { JobContext } from '../../src/jobs/contract/definition.ts';
import type { JobResult } from '../../src/jobs/contract/result.ts';
import { cancel, done, snooze } from '../../src/jobs/contract/result.ts';
import { performJob, stopped } from './perform-job.ts';

const db = undefined as unknown as Database;

const job = (handler: (context: JobContext) => Promise<JobResult>, timeoutMs = 5_000) =>
  defineJob({
    name: 'try-it',
    queue: 'quick',
    version: 1,
    payload: z.strictObject({ key: z.string() }),
    attempts: 3,
    retry: () => 42,
    timeoutMs,
    unique: ({ key }) => key,
    handler: (_payload, context) => handler(context),
  });

/** Runs until its signal says stop, and throws as an aborted fetch does. */
const untilStopped = ({ signal }: JobContext): Promise<never> =>
  new Promise((_, reject) => {
    const stop = (): void => reject(new Error(`stopped: ${String(signal.reason)}`));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });

test.each([[done({ n: 1 })], [cancel('gone')], [snooze(5, 'later')]])('a result is passed on: %j', async (result) => {
  expect(
    await performJob(
      db,
      job(async () => result),
      { key: 'x' },
    ),
  ).toEqual(result);
});

test('a throw is tried again when the policy says, until no attempt is left', async () => {
  const error = new Error('it broke');
  const broken = job(async () => {
    throw error;
  });
  expect(await performJob(db, broken, { key: 'x' })).toEqual({ kind: 'failed', error, retryInMs: 42 });
  expect(await performJob(db, broken, { key: 'x' }, { attempt: 3 })).toEqual({
    kind: 'failed',
    error,
    retryInMs: null,
  });
});

test('a payload that does not parse never reaches the handler, and says why', async () => {
  const handler = vi.fn(async () => done());
  const outcome = await performJob(db, job(handler), { key: 7 } as never);
  expect(outcome).toMatchObject({ kind: 'invalid', error: { code: 'payload_invalid' } });
  expect(String((outcome as { error: Error }).error.message)).toContain('key: ');
  expect(handler).not.toHaveBeenCalled();
});

test('a job that takes too long is told so, and tried again', async () => {
  const outcome = await performJob(db, job(untilStopped, 30), { key: 'x' });
  expect(outcome).toMatchObject({ kind: 'failed', retryInMs: 42, error: { message: 'stopped: timeout' } });
});

test('a shutdown is no failure; what ends well all the same has ended well', async () => {
  expect(await performJob(db, job(untilStopped), { key: 'x' }, { stop: stopped('shutdown') })).toEqual({
    kind: 'shutdown',
  });
  expect(
    await performJob(
      db,
      job(async () => done()),
      { key: 'x' },
      { stop: stopped('shutdown') },
    ),
  ).toEqual(done());
});

test('a lost lock is a failure: somebody else may be at it', async () => {
  expect(await performJob(db, job(untilStopped), { key: 'x' }, { stop: stopped('lock_lost') })).toMatchObject({
    kind: 'failed',
  });
});

test('a handler deaf to its signal is left behind', async () => {
  vi.useFakeTimers();
  try {
    const outcome = performJob(
      db,
      job(() => new Promise(() => {}), 30),
      { key: 'x' },
    );
    await vi.advanceTimersByTimeAsync(30 + 5_000);
    expect(await outcome).toMatchObject({ kind: 'failed', error: { code: 'job_timeout' } });
  } finally {
    vi.useRealTimers();
  }
});
