import { setTimeout as pause } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { BenchOrganization } from '../../bench/world.ts';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { upsertFact } from '../../src/db/installation-repository.ts';
import type { Blow } from './blows.ts';
import { type Fingerprint, takeFingerprint } from './fingerprint.ts';
import { type Fleet, findAtWork, type Member, startFleet } from './fleet.ts';
import type { Random } from './random.ts';
import { beginStage, type StageName, stageIsOver, stages } from './stages.ts';

export type Kill = {
  readonly stage: StageName;
  readonly phase: string;
  /** how far the phase was, by the row as it stood after the kill */
  readonly done: number;
  readonly cursor: string;
  /** from the blow until the cursor moved again */
  readonly resumeMs: number;
};

export type Life = { readonly kills: readonly Kill[]; readonly after: Readonly<Record<StageName, Fingerprint>> };

export type LifeOptions = {
  readonly adminUrl: string;
  readonly template: string;
  readonly name: string;
  readonly organization: BenchOrganization;
  readonly members: number;
  readonly blow: Blow;
  /** blows in each stage; 0 for the undisturbed twin */
  readonly killsAStage: number;
  readonly random: Random;
  /** null: the queue is on the life's own database */
  readonly redisUrl: string | null;
};

// Many chunks and short slices: a kill finds the cursor inside, and often between slices.
const chunkSize = 50;
const sliceMs = 60;
const lookMs = 2;
// Past it, the last chunk is often committed before the blow falls, and the stage is over.
const lastTarget = 0.9;
const longestWaitMs = 120_000;

const urlOf = (adminUrl: string, database: string): string => adminUrl.replace(/\/[^/]*$/, `/${database}`);

async function withAdmin(adminUrl: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

type RunRow = {
  readonly state: string;
  readonly phase: string;
  readonly cursor: string | null;
  readonly progress: unknown;
};

const readRun = (db: Database, runId: string): Promise<RunRow> =>
  persistently(() =>
    db
      .selectFrom('steward.runs')
      .select(['state', 'phase', 'cursor', 'progress'])
      .where('id', '=', runId)
      .executeTakeFirstOrThrow(),
  );

const restartWithinMs = 20_000;

/** The answer of a database that may be restarted at this moment. */
async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + restartWithinMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await pause(lookMs);
    }
  }
}

const doneIn = (run: RunRow): number => (run.progress as Record<string, { done?: number }>)[run.phase]?.done ?? 0;

/** Strictly inside: begun, not ended, and the cursor stands between the first and the last key of its phase. */
const isInside = (run: RunRow): boolean => run.state === 'running' && run.cursor !== null && doneIn(run) > 0;

/** One organization from fan-out to restore, one of its two workers killed at seeded moments and replaced each time. */
export async function live(options: LifeOptions): Promise<Life> {
  const { adminUrl, template, name, organization, killsAStage, random } = options;
  await withAdmin(adminUrl, `create database ${name} template ${template}`);
  const url = urlOf(adminUrl, name);
  const db = createDatabase({ url, max: 3 });
  // Lives have their own database, and on Redis their own prefix, which `migrate` recorded for another one.
  const queuePrefix = name.replaceAll('_', '-');
  await upsertFact(db, 'queue', { kind: options.redisUrl === null ? 'postgres' : 'redis', prefix: queuePrefix });
  const environment = {
    STEWARD_CHUNK_SIZE: String(chunkSize),
    STEWARD_CHUNK_MS: '0',
    STEWARD_SLICE_MS: String(sliceMs),
    ...(options.redisUrl === null ? {} : { STEWARD_QUEUE: 'redis', REDIS_URL: options.redisUrl }),
    STEWARD_QUEUE_PREFIX: queuePrefix,
    STEWARD_TICK_MS: String(options.blow.tickMs),
  };
  const kills: Kill[] = [];
  const after: Partial<Record<StageName, Fingerprint>> = {};
  const fleet = await startFleet(url, environment);
  try {
    for (const stage of stages) {
      const runId = await beginStage(db, stage, organization);
      const targets = Array.from({ length: killsAStage }, () => random.next() * lastTarget).sort((a, b) => a - b);
      for (const target of targets) {
        let killed: Killed | 'over';
        do {
          killed = await killInside(db, stage, runId, fleet, target, options);
          if (killed === 'over') break;
          const replaced = options.blow.name === 'kill' ? fleet.replace(killed.member) : Promise.resolve();
          if (!killed.missed) kills.push({ ...killed.at, resumeMs: await resumed(db, runId, killed) });
          await replaced;
          // Signal 0 only asks, and throws if it is gone: nothing but a kill may end a worker.
          for (const { worker } of fleet.members()) process.kill(worker.pid, 0);
        } while (killed.missed);
        if (killed === 'over') break;
      }
      await waitForEnd(db, stage, runId);
      after[stage] = await takeFingerprint(db);
    }
    return { kills, after: after as Record<StageName, Fingerprint> };
  } finally {
    await fleet.stop();
    await db.destroy();
    await withAdmin(adminUrl, `drop database if exists ${name} with (force)`);
  }
}

type Killed = {
  readonly member: Member;
  /** not counted: the run was not inside, or another worker was at it */
  readonly missed: boolean;
  readonly at: Omit<Kill, 'resumeMs'>;
  readonly run: RunRow;
  readonly killedAt: number;
};

// The other worker, if it had the run already, has committed a chunk by then.
const otherAtWorkMs = 150;

/**
 * Waits until the run is past `target` of its way and kills the worker that is inside a chunk. A kill counts only if
 * the row, read after the process is gone, shows the cursor strictly inside, and nobody else is moving it. "over": the
 * run ended first, and nobody was killed.
 */
async function killInside(
  db: Database,
  stage: StageName,
  runId: string,
  fleet: Fleet,
  target: number,
  { members, random, blow }: LifeOptions,
): Promise<Killed | 'over'> {
  const deadline = performance.now() + longestWaitMs;
  let member: Member | undefined;
  for (;;) {
    const run = await readRun(db, runId);
    if (run.state === 'done') return 'over';
    if (isInside(run) && wayOf(stage, run, members) >= target) {
      member = await findAtWork(db, fleet);
      if (member) break;
    } else await pause(lookMs);
    if (performance.now() > deadline)
      throw new Error(`The ${stage} run of ${runId} did not get to ${target}: ${JSON.stringify(run)}`);
  }
  // Anywhere in a chunk; a little later in every second, so that some are between two chunks.
  if (random.next() < 0.5) await pause(random.next() * 5);
  const killedAt = performance.now();
  await blow.strike({ worker: member.worker, db });
  if (blow.name === 'kill') {
    // What the dead process had sent is settled once its connections are gone.
    await connectionsGone(db, member);
  }
  const run = await readRun(db, runId);
  if (blow.name === 'kill') await pause(otherAtWorkMs);
  const later = await readRun(db, runId);
  const moves = blow.name === 'kill' && (later.cursor !== run.cursor || later.phase !== run.phase);
  return {
    member,
    missed: !isInside(run) || moves,
    at: { stage, phase: run.phase, done: doneIn(run), cursor: run.cursor ?? '' },
    run,
    killedAt,
  };
}

/** The phases in which a stage has more than one chunk to do, and how much each looks at for a member. */
const phasesOf: Readonly<Record<StageName, Readonly<Record<string, number>>>> = {
  // Nobody loses anything: event types are not looked at.
  'fan-out': { facts: 1, members: 1 },
  cascade: { facts: 1, members: 1, locations: 2, bookings: 0.25 },
  // Only copies return: 30 % of the event types have one.
  restore: { facts: 1, members: 1, locations: 0.6 },
};

/** Share of the phases that are behind, roughly: what matters is that targets spread over the whole run. */
function wayOf(stage: StageName, run: RunRow, members: number): number {
  const phases = Object.entries(phasesOf[stage]);
  const at = phases.findIndex(([phase]) => phase === run.phase);
  const [, each = 1] = phases[at] ?? [];
  return (Math.max(0, at) + Math.min(1, doneIn(run) / (each * members))) / phases.length;
}

async function connectionsGone(db: Database, { name }: Member): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
         and application_name = ${name} and state <> 'idle'`.execute(db);
    if ((rows[0]?.n ?? 0) === 0) return;
    await pause(lookMs);
  }
}

async function resumed(db: Database, runId: string, { run, killedAt }: Killed): Promise<number> {
  for (;;) {
    const now = await readRun(db, runId);
    if (now.phase !== run.phase || now.cursor !== run.cursor || now.state === 'done')
      return Math.round(performance.now() - killedAt);
    if (performance.now() - killedAt > longestWaitMs)
      throw new Error(`Run ${runId} did not resume within ${longestWaitMs / 1000} s: ${JSON.stringify(now)}`);
    await pause(20);
  }
}

async function waitForEnd(db: Database, stage: StageName, runId: string): Promise<void> {
  const deadline = performance.now() + longestWaitMs;
  while (!(await stageIsOver(db, stage, runId))) {
    if (performance.now() > deadline)
      throw new Error(`The ${stage} run ${runId} did not end: ${JSON.stringify(await readRun(db, runId))}`);
    await pause(20);
  }
}
