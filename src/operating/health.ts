import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { checkSchema } from '../queues/preflight.ts';
import { workerTimes } from '../queues/settings.ts';
import type { LoopDelay } from './loop-delay.ts';

/** The answer of a probe, and why not. */
export type Health = { readonly ok: true } | { readonly ok: false; readonly because: string };

export const healthy: Health = { ok: true };

/** Half of a lock: what blocks longer is near to losing it. */
const longestBlockMs = workerTimes.lockDuration / 2;

/**
 * Liveness: would a restart help? Only what is inside this process: the watchdog, and an event loop that was blocked
 * for too long. Never a database or a Redis that is away.
 */
export function checkLiveness({
  loop,
  wedged,
}: {
  readonly loop: LoopDelay;
  /** what the watchdog said, if it said something */
  readonly wedged: () => string | undefined;
}): Health {
  const because = wedged();
  if (because !== undefined) return { ok: false, because };
  const blocked = loop.worstMs();
  return blocked < longestBlockMs
    ? healthy
    : {
        ok: false,
        because: `the event loop was blocked for ${Math.round(blocked)} ms; ${longestBlockMs} are too many`,
      };
}

const answerWithinMs = 2_000;
const schemaFreshMs = 60_000;

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${answerWithinMs} ms`)), answerWithinMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}

/**
 * Readiness: may this process be given work? The database answers, its schema is this release's (looked at once a
 * minute while it is), and the process is not draining.
 */
export function createReadiness({
  db,
  state,
}: {
  readonly db: Database;
  /** undefined: ready; else why not */
  readonly state: () => string | undefined;
}): () => Promise<Health> {
  let schemaSeenAt = Number.NEGATIVE_INFINITY;
  return async () => {
    const because = state();
    if (because !== undefined) return { ok: false, because };
    try {
      await inTime(sql`select 1`.execute(db));
    } catch (error) {
      return { ok: false, because: `database: ${(error as { code?: string }).code ?? (error as Error).message}` };
    }
    if (performance.now() - schemaSeenAt < schemaFreshMs) return healthy;
    try {
      await inTime(checkSchema(db));
    } catch (error) {
      return { ok: false, because: `schema: ${(error as Error).message}` };
    }
    schemaSeenAt = performance.now();
    return healthy;
  };
}
