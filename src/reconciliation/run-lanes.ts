import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { addCounts, type Counts, hasCounts } from './counts.ts';
import type { PhaseChunk } from './run-phases.ts';
import type { Run, RunLease, RunPhase } from './run-record.ts';

/**
 * The row of a phase that is worked on from two keys at once. The run's own cursor is the first lane, up to the pivot; this
 * is the second, from the pivot to the end. Each says with its own rows, in one transaction, how far it is.
 * @see docs/reconciliation.md
 */
export type LaneRow = {
  /** last key of the first lane */
  readonly pivot: string;
  /** last key the second lane worked on */
  readonly cursor: string;
  readonly ended: boolean;
  /** keys its next chunk takes; null: as many as the first lane */
  readonly chunk: number | null;
  /** keys it looked at, and what it wrote, that the run does not have yet */
  readonly looked: number;
  readonly counts: Counts;
};

const columns = sql`lane.pivot, lane.cursor, lane.ended, lane.chunk, lane.looked, lane.counts`;

/** Where the second lane of the run's phase stands; null: the phase is not split. Waits for nobody. */
export async function getLane(trx: Transaction<DB>, { id, phase }: Run): Promise<LaneRow | null> {
  const { rows } = await sql<LaneRow>`
    select ${columns} from steward.run_lanes lane where lane.run_id = ${id} and lane.phase = ${phase}`.execute(trx);
  return rows[0] ?? null;
}

/** Splits the run's phase behind this key. The caller holds the run. */
export async function insertLane(trx: Transaction<DB>, { id, phase }: Run, pivot: string): Promise<void> {
  await sql`
    insert into steward.run_lanes (run_id, phase, pivot, cursor) values (${id}, ${phase}, ${pivot}, ${pivot})
    on conflict (run_id) do update
       set phase = excluded.phase, pivot = excluded.pivot, cursor = excluded.cursor, ended = false, chunk = null, looked = 0, counts = '{}'`.execute(
    trx,
  );
}

/**
 * The second lane's row, locked, while the run is this lease's, under this generation and in this phase. The run's row is only
 * read: whoever works on the first lane holds it, and waits for the second.
 */
export async function lockLane(
  trx: Transaction<DB>,
  { runId, token }: RunLease,
  { phase, generation }: { readonly phase: RunPhase; readonly generation: number },
): Promise<LaneRow | null> {
  const { rows } = await sql<LaneRow>`
    select ${columns} from steward.run_lanes lane join steward.runs run on run.id = lane.run_id
     where lane.run_id = ${runId} and lane.phase = ${phase} and not lane.ended
       and run.lease_token = ${token} and run.state = 'running' and run.phase = ${phase} and run.generation = ${generation}
       for update of lane`.execute(trx);
  return rows[0] ?? null;
}

/** Writes where the second lane stands, with the rows of its chunk. */
export async function markLaneProgress(
  trx: Transaction<DB>,
  runId: string,
  lane: LaneRow,
  { cursor, looked, counts, chunk }: PhaseChunk & { readonly chunk: number | null },
): Promise<void> {
  await sql`
    update steward.run_lanes
       set cursor = ${cursor ?? lane.cursor}, ended = ${cursor === null}, chunk = ${chunk},
           looked = ${lane.looked + looked}, counts = ${JSON.stringify(addCounts(lane.counts, counts))}::jsonb
     where run_id = ${runId}`.execute(trx);
}

/** Of a run that ended amid a phase: what its second lane did is added, and its row goes. The caller holds the connection. */
export async function endLane(trx: Transaction<DB>, runId: string): Promise<void> {
  await sql`select steward.end_lane(${runId}::uuid)`.execute(trx);
}

/**
 * Adds what the second lane did to a chunk of the first, and goes on behind the pivot once the first is there: where the
 * second stands, or at the end of the phase. Skips what a second lane that lives holds; the next chunk has it.
 * @param second where it stood before, and whether a chunk of it was begun
 */
export async function joinLanes(
  trx: Transaction<DB>,
  run: Run,
  own: PhaseChunk,
  { before, begun }: { readonly before: LaneRow; readonly begun: boolean },
): Promise<PhaseChunk & { readonly split: boolean }> {
  const { rows } = await sql<LaneRow>`
    select ${columns} from steward.run_lanes lane where lane.run_id = ${run.id} for update skip locked`.execute(trx);
  const lane = rows[0];
  if (!lane) return { ...own, cursor: own.cursor ?? before.pivot, split: true };
  const both = { looked: own.looked + lane.looked, counts: addCounts(own.counts, lane.counts) };
  if (own.cursor === null) {
    await sql`delete from steward.run_lanes where run_id = ${run.id}`.execute(trx);
    return { ...both, cursor: lane.ended ? null : lane.cursor, split: false };
  }
  // What failed may have been too large: the first lane's size follows what chunks cost now.
  const chunk = begun && lane.cursor === before.cursor && !lane.ended ? null : lane.chunk;
  // Rows of people who left are written where nobody is looked at.
  if (lane.looked > 0 || hasCounts(lane.counts) || chunk !== lane.chunk)
    await sql`update steward.run_lanes set looked = 0, counts = '{}', chunk = ${chunk} where run_id = ${run.id}`.execute(
      trx,
    );
  return { ...both, cursor: own.cursor, split: true };
}
