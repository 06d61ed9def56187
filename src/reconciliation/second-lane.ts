import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { tryLockLane } from './locks.ts';
import { getOrganizationFacts } from './organization-facts.ts';
import { joinLanes, type LaneRow, lockLane, markLaneProgress } from './run-lanes.ts';
import { type PhaseChunk, type PhaseRequest, phases } from './run-phases.ts';
import type { RunLease } from './run-record.ts';
import { findStop } from './stops.ts';

/**
 * The connection on which the second lanes of this process's runs work, one chunk at a time. Of its own, beside the pool: whoever
 * finds it taken goes on with one lane and waits for nothing, and two large runs take three connections and not four.
 */
export type SecondLane = {
  /**
   * Begins a transaction, or gives null at once while another one is under way, and for a while after one that failed. Resolves when
   * it is over, however it ended: what was not written is still to do.
   */
  tryWork(work: (trx: Transaction<DB>) => Promise<void>): Promise<void> | null;
};

/** After a chunk that failed: whatever it met, a lock of the main app or a lost server, is not waited for in each chunk. */
const restMs = 30_000;

/**
 * @param db a pool of one connection
 * @param onFailure hears why a chunk failed: nobody else does, as the first lane goes on
 */
export function createSecondLane(db: Database, onFailure: (error: unknown) => void = () => {}): SecondLane {
  let taken = false;
  let restsUntil = Number.NEGATIVE_INFINITY;
  return {
    tryWork(work) {
      if (taken || performance.now() < restsUntil) return null;
      taken = true;
      const chunk = db.transaction().execute(work);
      return chunk
        .catch((error: unknown) => {
          restsUntil = performance.now() + restMs;
          onFailure(error);
        })
        .finally(() => {
          taken = false;
        });
    },
  };
}

/** Who works on the first lane waits in this process, where Postgres sees no deadlock: a lock that comes late ends the chunk. */
const lockTimeoutMs = 1_000;
/** Nothing of a chunk should take so long; the first lane's transaction must not idle until the server ends it. */
const statementTimeoutMs = 20_000;
/** After it the first lane commits without the second, whose lock keeps everybody else out. */
const patienceMs = 30_000;

/**
 * One chunk of the second lane: rows, cursor and counts in one transaction. It holds the second lane's lock, which keeps
 * chunks and single runs out even if the first lane dies meanwhile, and the connection, so that nobody raises the
 * generation; it writes nothing once the run has another lease, generation or phase, writing is stopped, or somebody else works on the lane.
 */
async function workSecondLane(
  trx: Transaction<DB>,
  lease: RunLease,
  request: PhaseRequest,
  nextChunk: (size: number, tookMs: number) => number | null,
): Promise<void> {
  const { run } = request;
  if (run.phase === 'done') return;
  await sql`
    select set_config('lock_timeout', ${String(lockTimeoutMs)}, true), set_config('statement_timeout', ${String(statementTimeoutMs)}, true)`.execute(
    trx,
  );
  if (!(await tryLockLane(trx, run.organizationId))) return;
  await sql`select from steward.org_connections where organization_id = ${run.organizationId} for share`.execute(trx);
  const facts = await getOrganizationFacts(trx, run.organizationId);
  if (facts.generation !== run.generation || (await findStop(trx, facts))) return;
  const lane = await lockLane(trx, lease, run);
  if (!lane) return;
  const limit = lane.chunk ?? request.limit;
  const startedAt = performance.now();
  const part = { ...request, facts, limit, upTo: null, run: { ...run, cursor: lane.cursor } };
  const chunk = await phases[run.phase].chunk(trx, part);
  await markLaneProgress(trx, run.id, lane, { ...chunk, chunk: nextChunk(limit, performance.now() - startedAt) });
}

/** Waits until a chunk of the second lane is over; not for ever, as a connection may be silent. */
async function untilOver(chunk: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  await Promise.race([chunk, late]);
  clearTimeout(timer);
}

/**
 * The next chunk of a phase in the caller's transaction, which holds the organization; where the phase is split, with one of the second
 * lane beside it, whose transaction is its own.
 */
export async function workLanes(
  trx: Transaction<DB>,
  {
    lease,
    request,
    lane,
    secondLane,
    nextChunk,
  }: {
    readonly lease: RunLease;
    /** up to the pivot, if there is one */
    readonly request: PhaseRequest;
    readonly lane: LaneRow | null;
    /** none: nobody works on the second lane now */
    readonly secondLane: SecondLane | undefined;
    readonly nextChunk: (size: number, tookMs: number) => number | null;
  },
): Promise<PhaseChunk & { readonly split: boolean; readonly nextChunk: number | null }> {
  const { run, limit } = request;
  if (run.phase === 'done') throw new Error('Expected a run that is under way');
  const second =
    lane && !lane.ended ? secondLane?.tryWork((other) => workSecondLane(other, lease, request, nextChunk)) : null;
  const startedAt = performance.now();
  const first = phases[run.phase]
    .chunk(trx, request)
    .then((chunk) => ({ chunk, tookMs: performance.now() - startedAt }));
  // Also beside one that fails: its slice does not end while something of it writes.
  if (second) await Promise.allSettled([first, untilOver(second)]);
  const { chunk, tookMs } = await first;
  const worked = lane
    ? await joinLanes(trx, run, chunk, { before: lane, begun: Boolean(second) })
    : { ...chunk, split: false };
  return { ...worked, nextChunk: nextChunk(limit, tookMs) };
}
