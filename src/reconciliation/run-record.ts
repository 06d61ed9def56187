import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import type { Counts } from './counts.ts';

export type RunPhase = 'facts' | 'members' | 'locations' | 'additions' | 'bookings' | 'finish' | 'done';
export type RunState = 'queued' | 'running' | 'done' | 'superseded' | 'held' | 'failed';

export type PhaseProgress = {
  readonly done: number;
  /** what was counted when the phase began; null where counting costs too much */
  readonly total: number | null;
  /** facts only: results are written in the same pass */
  readonly alsoResults?: true;
  /** facts only: only members were looked at whose stored facts might have been wrong */
  readonly doubtfulOnly?: true;
  /** locations only: nothing could be taken when the phase began, so that only what returns is looked for */
  readonly nothingGoes?: true;
  /** from two keys at once: `steward.run_lanes` says where the second lane stands */
  readonly split?: true;
  /** keys the next chunk takes, where the size follows what chunks cost */
  readonly chunk?: number;
  /** why it is slow, or stands: somebody waits for a lock, a replica is behind, an operator paused writing */
  readonly slowed?: string;
};

/** Per phase: how far. */
export type RunProgress = Readonly<Partial<Record<RunPhase, PhaseProgress>>>;

/** A run as its row says. */
export type Run = {
  readonly id: string;
  readonly organizationId: string;
  readonly generation: number;
  readonly cause: string;
  readonly actor: Actor;
  /** ends a disconnect */
  readonly cascade: boolean;
  readonly state: RunState;
  readonly phase: RunPhase;
  /** last key worked on in this phase */
  readonly cursor: string | null;
  readonly progress: RunProgress;
  readonly counts: Counts;
  readonly hasPlan: boolean;
  readonly approvedBy: string | null;
};

const columns = sql`
  id, organization_id as "organizationId", generation, cause, actor, cascade, state, phase, cursor, progress, counts,
  plan is not null as "hasPlan", approved_by as "approvedBy"`;

/** The run, or an error `run_unknown`. */
export async function getRun(db: Database, runId: string): Promise<Run> {
  const { rows } = await sql<Run>`select ${columns} from steward.runs where id = ${runId}`.execute(db);
  const run = rows[0];
  if (!run) {
    throw new StewardError(
      'run_unknown',
      `Expected the id of a run, got ${runId}; "runs list" shows the runs there are`,
      {
        context: { runId },
      },
    );
  }
  return run;
}

/** A lease on a run: who holds the token may write chunks, until somebody else took over. */
export type RunLease = { readonly runId: string; readonly token: string; readonly leaseMs: number };

/** Takes the lease of a run that is queued, or running and held by nobody who lives. Null: not now. */
export async function takeRunLease(db: Database, lease: RunLease): Promise<Run | null> {
  const { rows } = await sql<Run>`
    update steward.runs
       set state = 'running', lease_token = ${lease.token}, lease_until = steward.now() + ${lease.leaseMs} * interval '1 millisecond',
           started_at = coalesce(started_at, steward.now())
     where id = ${lease.runId} and state in ('queued', 'running') and (lease_token is null or lease_until < steward.now())
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

/** Renews the lease until the work is over: a question of size asked outside a chunk may take longer than a lease. */
export async function keepRunLease<T>(
  db: Database,
  { runId, token, leaseMs }: RunLease,
  work: () => Promise<T>,
): Promise<T> {
  const renew = async (): Promise<void> => {
    await sql`
      update steward.runs set lease_until = steward.now() + ${leaseMs} * interval '1 millisecond'
       where id = ${runId} and lease_token = ${token}`.execute(db);
  };
  // One that fails is made up for by the next, or the chunk finds that the lease is somebody else's.
  const timer = setInterval(() => renew().catch(() => {}), leaseMs / 3);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Gives the lease back, if it is still this one. Its time stays as the heartbeat: else a long run looks stuck between two slices. */
export async function releaseRunLease(db: Database, { runId, token }: RunLease): Promise<void> {
  await sql`update steward.runs set lease_token = null, lease_until = steward.now() where id = ${runId} and lease_token = ${token}`.execute(
    db,
  );
}

/** The run under its lease, locked to the end of the transaction; null once the lease or the run is somebody else's. */
export async function lockRun(trx: Transaction<DB>, { runId, token }: RunLease): Promise<Run | null> {
  const { rows } = await sql<Run>`
    select ${columns} from steward.runs
     where id = ${runId} and lease_token = ${token} and state = 'running' for update`.execute(trx);
  return rows[0] ?? null;
}

/** Writes where the run stands, with the rows of the chunk; each write is also the heartbeat. */
export async function markRunProgress(
  trx: Transaction<DB>,
  lease: RunLease,
  { phase, cursor, progress, counts }: Pick<Run, 'phase' | 'cursor' | 'progress' | 'counts'>,
): Promise<void> {
  await sql`
    update steward.runs
       set phase = ${phase}, cursor = ${cursor}, progress = ${JSON.stringify(progress)}::jsonb, counts = ${JSON.stringify(counts)}::jsonb,
           lease_until = steward.now() + ${lease.leaseMs} * interval '1 millisecond'
     where id = ${lease.runId} and lease_token = ${lease.token}`.execute(trx);
}

/** Ends the run, or holds it for a person; the lease ends with it. */
export async function markRunEnded(
  db: Database,
  { runId, token }: RunLease,
  { state, plan }: { readonly state: 'done' | 'superseded' | 'held'; readonly plan?: unknown },
): Promise<boolean> {
  const result = await sql`
    update steward.runs
       set state = ${state}, phase = case when ${state} = 'done' then 'done' else phase end, lease_token = null, lease_until = null,
           ended_at = case when ${state} <> 'held' then steward.now() end,
           plan = coalesce(${plan === undefined ? null : JSON.stringify(plan)}::jsonb, plan)
     where id = ${runId} and lease_token = ${token} and state = 'running'`.execute(db);
  return result.numAffectedRows === 1n;
}
