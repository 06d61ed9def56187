import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import { deriveDomainMappings } from '../db/derived-mapping-repository.ts';
import type { DB } from '../db/schema.ts';
import { nextChunkSize } from './chunk-size.ts';
import { addCounts } from './counts.ts';
import { type Doubts, findDoubts, holdsFor, worthDoubting, writeDoubtful } from './doubtful-facts.ts';
import { defaultGuardRail, type GuardRail, weighRun } from './guard-rail.ts';
import { holdRun } from './hold-run.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { zoomMayGo } from './locations-apply.ts';
import { lockOrganization } from './locks.ts';
import { observeRun } from './observe-run.ts';
import { getOrganizationFacts } from './organization-facts.ts';
import { defaultPressureLimits, findPressure, type PressureLimits } from './pressure.ts';
import { endLane, getLane } from './run-lanes.ts';
import { phases } from './run-phases.ts';
import {
  getRun,
  keepRunLease,
  lockRun,
  markRunEnded,
  markRunProgress,
  type PhaseProgress,
  type Run,
  type RunLease,
  type RunProgress,
  releaseRunLease,
  takeRunLease,
} from './run-record.ts';
import { type SecondLane, workLanes } from './second-lane.ts';
import { type Slice, standing } from './slice.ts';
import { splitPhase, splittable } from './split-phase.ts';
import { findStop } from './stops.ts';

export type { Slice } from './slice.ts';

export type AdvanceOptions = {
  /** how long to take chunks before handing over, ms */
  readonly sliceMs?: number;
  /** keys a chunk; with `chunkMs` keys of the first one */
  readonly chunkSize?: number;
  /**
   * How long a chunk may hold the organization, ms: sizes follow what chunks cost, between half and ten times
   * `chunkSize`. 0: every chunk has `chunkSize`.
   */
  readonly chunkMs?: number;
  readonly adapter?: LocationAdapter;
  readonly guard?: GuardRail;
  /** heartbeat: after so many ms without a chunk anybody may take the run over */
  readonly leaseMs?: number;
  /** when a slice gives way to others: it takes one chunk and no more */
  readonly pressure?: PressureLimits;
  /** the connection of a second lane: phases of large organizations are worked on from two keys at once; none: from one */
  readonly secondLane?: SecondLane;
  /** ends the slice at the next chunk; nothing of a chunk is lost */
  readonly signal?: AbortSignal;
};

/**
 * A pass that writes everything at once reads most from places all over the tables: larger chunks meet each page less
 * often. Looks wait longer for it, once in the life of an organization. Most of what it brought when it was measured
 * came of reading whole indexes for each chunk, which is mended: to be measured again (docs/performance.md).
 */
const onePassFactor = 5;

type ChunkOutcome = Slice['state'] | 'weigh' | 'observe' | 'survey' | 'doubt' | 'split';

/**
 * What was asked outside the organization's lock, because it is a question of size: whether the guard lets the run pass, whether any
 * Zoom could go, and whose stored facts are not to be trusted.
 */
type Known = { readonly weighed?: true; readonly mayGo?: boolean; readonly doubts?: Doubts };

const defaults = {
  sliceMs: 1_000,
  chunkSize: 5_000,
  chunkMs: 0,
  adapter: 'rows',
  guard: defaultGuardRail,
  pressure: defaultPressureLimits,
  leaseMs: 8_000,
} as const;

/**
 * Works on an organization's run until the slice is over: phases facts, members, locations, bookings, finish, in
 * chunks of one transaction each, with rows, cursor, counts and heartbeat. Safe to call twice, at once, or after a
 * crash: who does not hold the lease and the newest generation writes nothing. The caller owes the next slice.
 */
export async function advanceRun(db: Database, runId: string, options: AdvanceOptions = {}): Promise<Slice> {
  const settings = { ...defaults, ...options };
  const lease: RunLease = { runId, token: randomUUID(), leaseMs: settings.leaseMs };
  const taken = await takeRunLease(db, lease);
  if (!taken) return standing(await getRun(db, runId));
  try {
    const endsAt = performance.now() + settings.sliceMs;
    const slowed = await findPressure(db, settings.pressure);
    for (;;) {
      const outcome = await advanceOnce(db, lease, {
        ...settings,
        slowed,
        organizationId: taken.organizationId,
      });
      if (outcome !== 'more' || slowed || settings.signal?.aborted || performance.now() >= endsAt)
        return { ...standing(await getRun(db, runId)), state: outcome, slowed };
    }
  } finally {
    // If even this fails, the lease ends by itself.
    await releaseRunLease(db, lease).catch(() => {});
  }
}

async function advanceOnce(db: Database, lease: RunLease, settings: Settings): Promise<Slice['state']> {
  let outcome = await takeChunk(db, lease, settings, {});
  if (outcome === 'observe') return observeRun(db, lease);
  if (outcome === 'survey')
    outcome = await takeChunk(db, lease, settings, {
      mayGo: await zoomMayGo(db, settings.organizationId, lease.runId),
    });
  if (outcome === 'doubt') {
    const doubts = await keepRunLease(db, lease, () => findDoubts(db, settings));
    outcome = await takeChunk(db, lease, settings, { doubts });
  }
  if (outcome === 'weigh') {
    const run = await getRun(db, lease.runId);
    const verdict = await weighRun(db, await getOrganizationFacts(db, run.organizationId), settings.guard);
    if (verdict.held)
      return (await holdRun(db, lease, verdict)) ? 'held' : standing(await getRun(db, lease.runId)).state;
    outcome = await takeChunk(db, lease, settings, { weighed: true });
  }
  if (outcome === 'split') await splitPhase(db, lease, settings.chunkSize);
  return chunked(outcome);
}

/** The run moved between question and chunk: the next look asks again. */
const chunked = (outcome: ChunkOutcome): Slice['state'] =>
  outcome === 'observe' || outcome === 'weigh' || outcome === 'survey' || outcome === 'doubt' || outcome === 'split'
    ? 'more'
    : outcome;

type Settings = Required<Omit<AdvanceOptions, 'signal' | 'secondLane'>> &
  Pick<AdvanceOptions, 'signal' | 'secondLane'> & { readonly organizationId: string; readonly slowed: string | null };

/**
 * Whether no guard rail stands between facts and results, so that one pass writes both: a cascade was decided, a
 * person approved, and from an organization without any stored result nothing can be lost.
 */
async function nothingToWeigh(trx: Transaction<DB>, run: Run): Promise<boolean> {
  if (run.cascade || run.approvedBy !== null) return true;
  const { rows } = await sql`
    select from steward.member_connections where organization_id = ${run.organizationId} limit 1`.execute(trx);
  return rows.length === 0;
}

/** The progress as it was, with the reason why it does not go on. */
function slowedProgress({ phase, progress }: Run, slowed: string): RunProgress {
  return { ...progress, [phase]: { done: 0, total: null, ...progress[phase], slowed } };
}

function takeChunk(db: Database, lease: RunLease, settings: Settings, known: Known): Promise<ChunkOutcome> {
  return db.transaction().execute(async (trx): Promise<ChunkOutcome> => {
    const { organizationId } = settings;
    await lockOrganization(trx, organizationId);
    // The connection before the run, as whoever raises the generation takes them. Until this chunk commits, nobody raises it.
    await sql`select from steward.org_connections where organization_id = ${organizationId} for share`.execute(trx);
    const facts = await getOrganizationFacts(trx, organizationId);
    const run = await lockRun(trx, lease);
    if (!run || run.phase === 'done') return standing(await getRun(trx, lease.runId)).state;
    if (facts.generation !== run.generation) {
      await markRunEnded(trx, lease, { state: 'superseded' });
      await endLane(trx, run.id);
      return 'superseded';
    }
    const stop = await findStop(trx, facts);
    if (stop === 'observe') return 'observe';
    if (stop === 'pause') {
      await markRunProgress(trx, lease, { ...run, progress: slowedProgress(run, 'an operator paused writing') });
      return 'paused';
    }
    const begins = run.cursor === null;
    if (!known.weighed && run.phase === 'members' && begins && !run.cascade && run.approvedBy === null) return 'weigh';
    if (known.mayGo === undefined && run.phase === 'locations' && begins && !run.cascade) return 'survey';

    if (run.phase === 'facts' && begins) {
      if (known.doubts === undefined ? await worthDoubting(trx, run, settings) : !holdsFor(known.doubts, facts))
        return 'doubt';
      // What a lost job left: each run begins with the mappings that follow from pairs of domains as the facts have them.
      const derived = await deriveDomainMappings(trx, { organizationId, memberIds: null, actor: run.actor });
      if (known.doubts?.members && derived.length === 0) {
        await writeDoubtful(trx, lease, { run, facts, memberIds: known.doubts.members });
        return 'more';
      }
    }
    const phase = phases[run.phase];
    const before = begins ? undefined : run.progress[run.phase];
    const alsoResults =
      run.phase === 'facts' && (begins ? await nothingToWeigh(trx, run) : before?.alsoResults === true);
    const limit = before?.chunk ?? settings.chunkSize;
    const nothingGoes = run.phase === 'locations' && (begins ? known.mayGo === false : before?.nothingGoes === true);
    const lane = before?.split ? await getLane(trx, run) : null;
    const upTo = lane?.pivot ?? null;
    const request = { run, facts, adapter: settings.adapter, limit, upTo, alsoResults, mayGo: !nothingGoes };
    const total = begins ? await phase.total(trx, request) : (before?.total ?? null);
    const chunkMs = settings.chunkMs * (alsoResults ? onePassFactor : 1);
    const nextChunk = (size: number, tookMs: number) =>
      settings.chunkMs > 0 ? nextChunkSize(size, tookMs, { ...settings, chunkMs }) : null;
    const secondLane = settings.slowed === null ? settings.secondLane : undefined;
    const worked = await workLanes(trx, { lease, request, lane, secondLane, nextChunk });
    const { cursor, looked, counts, split, nextChunk: chunk } = worked;
    const progress: PhaseProgress = {
      done: (before?.done ?? 0) + looked,
      total,
      ...(alsoResults ? { alsoResults } : {}),
      ...(nothingGoes ? { nothingGoes } : {}),
      ...(settings.slowed ? { slowed: settings.slowed } : {}),
      ...(split ? { split } : {}),
      ...(chunk === null ? {} : { chunk }),
    };
    const next = alsoResults ? 'locations' : phase.next;
    await markRunProgress(trx, lease, {
      phase: cursor === null ? next : run.phase,
      cursor,
      counts: addCounts(run.counts, counts),
      progress: run.phase === 'finish' ? run.progress : { ...run.progress, [run.phase]: progress },
    });
    if (cursor !== null && !split && secondLane && phase.keys && splittable(progress, limit)) return 'split';
    if (cursor !== null || phase.next !== 'done') return 'more';
    await markRunEnded(trx, lease, { state: 'done' });
    return 'done';
  });
}
