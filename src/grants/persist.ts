import { setTimeout as sleep } from 'node:timers/promises';
import { startElapsed } from './elapsed.ts';

const firstWaitMs = 50;
const longestWaitMs = 2_000;
/** A database that vanished without a word would keep a query waiting for a quarter of an hour. */
const defaultHungAfterMs = 10_000;
/** Each holds a connection of the pool. */
const mostHanging = 3;

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

export type PersistOptions = {
  /** default: never, it ends with the process */
  readonly givesUpAfterMs?: number;
  /** without an answer for so long, it is tried on another connection as well; default 10 s */
  readonly hungAfterMs?: number;
  onFailure(error: unknown): void;
};

/** The first of them, or what stands for none after `ms`. */
async function within<T>(ms: number, otherwise: T, ...promises: Promise<T>[]): Promise<T> {
  const end = new AbortController();
  try {
    return await Promise.race([...promises, sleep(ms, otherwise, { signal: end.signal })]);
  } finally {
    end.abort();
  }
}

/**
 * What the database answers, or an error after `ms`: a connection whose other side vanished would say nothing for a
 * quarter of an hour. What was asked may still be done; only for what is harmless if nobody hears of it.
 */
export async function answered<T>(ms: number, work: Promise<T>): Promise<T> {
  const none: Outcome<T> = { ok: false, error: new Error(`the database did not answer within ${ms} ms`) };
  const outcome = await within<Outcome<T>>(
    ms,
    none,
    work.then(
      (value) => ({ ok: true, value }),
      (error: unknown) => ({ ok: false, error }),
    ),
  );
  if (outcome.ok) return outcome.value;
  throw outcome.error;
}

/**
 * Repeats a write until it succeeds: what Zoom gave us exists nowhere else. The write must be fit to be done twice,
 * also at once. After `givesUpAfterMs` the last error is thrown.
 */
export async function persist<T>(work: () => Promise<T>, options: PersistOptions): Promise<T> {
  const { givesUpAfterMs = Number.POSITIVE_INFINITY, hungAfterMs = defaultHungAfterMs, onFailure } = options;
  const elapsed = startElapsed();
  const { promise: succeeded, resolve: succeed } = Promise.withResolvers<Outcome<T>>();
  const hung: Outcome<T> = { ok: false, error: new Error(`the database did not answer within ${hungAfterMs} ms`) };
  let hanging = 0;

  const tryOnce = async (): Promise<Outcome<T>> => {
    hanging += 1;
    try {
      const outcome: Outcome<T> = { ok: true, value: await work() };
      // However late: nobody must wait for another one then.
      succeed(outcome);
      return outcome;
    } catch (error) {
      return { ok: false, error };
    } finally {
      hanging -= 1;
    }
  };

  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    const tries = hanging < mostHanging ? [tryOnce()] : [];
    const outcome = await within(hungAfterMs, hung, succeeded, ...tries);
    if (outcome.ok) return outcome.value;
    onFailure(outcome.error);
    if (elapsed() + waitMs > givesUpAfterMs) throw outcome.error;
    const late = await within(waitMs, null, succeeded);
    if (late?.ok) return late.value;
  }
}
