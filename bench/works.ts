import { sql } from 'kysely';
import type { Database } from '../src/db/database.ts';
import { startOrganizationRun } from '../src/db/run-repository.ts';
import { planOrganization } from '../src/reconciliation/plan.ts';
import { resolveMember } from '../src/reconciliation/resolve-member.ts';
import { bareCascade, bareFanout, scanAll, seconds } from './limits.ts';
import { runJobPerMember } from './rivals/job-per-member.ts';
import { measureNoOpJobs } from './rivals/no-op-job.ts';
import { runUpdatePerEventType } from './rivals/update-per-event-type.ts';
import { startBenchWorker } from './worker.ts';
import { type BenchOrganization, benchAccountId, seedEventTypes, seedOrganization, settle } from './world.ts';

/** One result, as `--json` prints it but for the notes. Fields that a work does not have are null. */
export type BenchResult = {
  readonly work: string;
  readonly members: number;
  readonly ours: { readonly s: number };
  readonly limit: { readonly s: number } | null;
  readonly rival: { readonly name: string; readonly s: number; readonly members: number } | null;
  /** ours / limit */
  readonly ratioToLimit: number | null;
  /** rival / ours, per member or event type */
  readonly timesFaster: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly peakRssMb: number | null;
  /** what was done, and what each side does not do */
  readonly notes: string;
};

export type BenchInput = {
  readonly db: Database;
  readonly databaseUrl: string;
  readonly redisUrl?: string;
  readonly members: number;
  readonly sample: number;
};

const account = `${benchAccountId}_b`;
const round = (value: number, digits = 3): number => Number(value.toFixed(digits));
const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

function summary(milliseconds: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  return { p50Ms: round(percentile(sorted, 0.5)), p99Ms: round(percentile(sorted, 0.99)) };
}

/** Starts the run that the organization owes and waits until the worker has finished it, by the database. */
async function runToItsEnd(db: Database, organization: BenchOrganization, cause: string): Promise<number> {
  const took = await seconds(async () => {
    const runId = await db
      .transaction()
      .execute((trx) =>
        startOrganizationRun(trx, { connectionId: organization.connectionId, cause, actor: 'operator:bench' }),
      );
    for (;;) {
      const run = await db
        .selectFrom('steward.runs')
        .select(['state', 'error'])
        .where('id', '=', runId)
        .executeTakeFirstOrThrow();
      if (run.state === 'done') return;
      if (run.state !== 'queued' && run.state !== 'running')
        throw new Error(`The run ended as ${run.state}: ${run.error ?? ''}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  return took;
}

async function fanout({ db, databaseUrl, redisUrl, members, sample }: BenchInput): Promise<BenchResult> {
  const organization = await seedOrganization(db, members);
  await settle(db);
  const worker = await startBenchWorker(databaseUrl);
  try {
    const ours = await runToItsEnd(db, organization, 'activated');
    const peakRssMb = worker.takePeakRssMb();
    await worker.stop();
    await sql`checkpoint`.execute(db);
    const limit = await bareFanout(db);
    const rival = await runJobPerMember({
      databaseUrl,
      ...(redisUrl ? { redisUrl } : {}),
      organizationId: organization.organizationId,
      accountId: account,
      members: Math.min(sample, members),
    });
    return {
      work: 'fanout',
      members,
      ours: { s: round(ours) },
      limit: { s: round(limit) },
      rival: { name: rival.name, s: round(rival.seconds), members: rival.members },
      ratioToLimit: round(ours / limit, 2),
      timesFaster: round(rival.seconds / rival.members / (ours / members), 1),
      p50Ms: null,
      p99Ms: null,
      peakRssMb,
      notes:
        'ours: a run from its row to done through outbox, queue and worker process, facts and results of every member decided and written, counts, audit and events included; limit: insert … select of the same rows, nothing decided; rival: decides less (no ambiguity, no rollout, no opt-outs), keeps no progress, no fence',
    };
  } finally {
    await worker.stop();
  }
}

async function cascade({ db, databaseUrl, members: eventTypes, sample }: BenchInput): Promise<BenchResult> {
  const hosts = Math.min(eventTypes, 10_000);
  const organization = await seedOrganization(db, hosts);
  // Nobody keeps a personal Zoom here: every Zoom location goes, on both sides.
  await sql`delete from steward_app.personal_connections`.execute(db);
  await seedEventTypes(db, organization, hosts, eventTypes);
  await settle(db);
  const limit = await bareCascade(db, organization.organizationId);
  const rival = await runUpdatePerEventType({
    databaseUrl,
    organizationId: organization.organizationId,
    eventTypes: Math.min(sample, eventTypes),
  });
  await settle(db);
  const worker = await startBenchWorker(databaseUrl);
  try {
    await runToItsEnd(db, organization, 'activated');
    await sql`update steward.org_connections set state = 'disconnecting', disconnect_cause = 'person', disconnected_at = now(), generation = generation + 1 where id = ${organization.connectionId}`.execute(
      db,
    );
    const ours = await runToItsEnd(db, organization, 'disconnect');
    const { rows } = await sql<{ left: number; archived: number }>`
      select (select count(*) from steward_app.locations where kind = 'zoom_conference') as left, (select count(*) from steward.archived_locations) as archived`.execute(
      db,
    );
    if (rows[0]?.left !== 0) throw new Error(`The cascade left ${rows[0]?.left} Zoom locations`);
    return {
      work: 'cascade',
      members: eventTypes,
      ours: { s: round(ours) },
      limit: { s: round(limit) },
      rival: { name: rival.name, s: round(rival.seconds), members: rival.members },
      ratioToLimit: round(ours / limit, 2),
      timesFaster: round(rival.seconds / rival.members / (ours / eventTypes), 1),
      p50Ms: null,
      p99Ms: null,
      peakRssMb: worker.takePeakRssMb(),
      notes: `members counts event types (30 % with Zoom, ${rows[0]?.archived} archived, ${hosts} hosts); ours decides every server live, archives, audits, tells, marks bookings, through queue and worker; limit: one delete that copies the rows; rival keeps no copies and no audit`,
    };
  } finally {
    await worker.stop();
  }
}

async function plan({ db, databaseUrl, members }: BenchInput): Promise<BenchResult> {
  const organization = await seedOrganization(db, members);
  await settle(db);
  const worker = await startBenchWorker(databaseUrl);
  await runToItsEnd(db, organization, 'activated').finally(() => worker.stop());
  await settle(db);
  const limit = await scanAll(db, organization.organizationId, account);
  let changes = -1;
  await planOrganization(db, organization.organizationId);
  const ours = await seconds(async () => {
    changes = (await planOrganization(db, organization.organizationId)).members.summary.changes;
  });
  if (changes !== 0) throw new Error(`Expected a plan without changes, got ${changes}`);
  return {
    work: 'plan',
    members,
    ours: { s: round(ours) },
    limit: { s: round(limit) },
    rival: null,
    ratioToLimit: round(ours / limit, 2),
    timesFaster: null,
    p50Ms: null,
    p99Ms: null,
    peakRssMb: null,
    notes:
      'ours: full plan of members and bookings from live facts, no drift; limit: one count over each table it reads; both warm',
  };
}

async function resolve({ db, members }: BenchInput): Promise<BenchResult> {
  const organization = await seedOrganization(db, members);
  await settle(db);
  const calls = 5_000;
  // The first calls plan; a process that serves has done that.
  const warmUp = Math.min(100, Math.floor(members / 10));
  const { rows } = await sql<{ id: string }>`
    select id from steward_app.members where organization_id = ${organization.organizationId} order by md5(id::text) limit ${calls}`.execute(
    db,
  );
  const time = async (work: (id: string) => Promise<unknown>): Promise<number[]> => {
    const took: number[] = [];
    for (const [index, { id }] of rows.entries()) {
      const started = performance.now();
      await work(id);
      if (index >= warmUp) took.push(performance.now() - started);
    }
    return took;
  };
  const lookups = await time((id) => sql`select * from steward_app.members where id = ${id}`.execute(db));
  const resolved = await time((id) => resolveMember(db, id));
  const { p50Ms, p99Ms } = summary(resolved);
  const lookup = summary(lookups);
  const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0) / 1000;
  return {
    work: 'resolve',
    members,
    ours: { s: round(sum(resolved)) },
    limit: { s: round(sum(lookups)) },
    rival: null,
    ratioToLimit: round(sum(resolved) / sum(lookups), 2),
    timesFaster: null,
    p50Ms,
    p99Ms,
    peakRssMb: null,
    notes: `one at a time from Node, ${resolved.length} calls, no stored result exists; limit: a primary-key lookup of the member the same way (p50 ${lookup.p50Ms} ms, p99 ${lookup.p99Ms} ms)`,
  };
}

async function latency({ db, databaseUrl, members }: BenchInput): Promise<BenchResult> {
  const organization = await seedOrganization(db, members);
  await settle(db);
  const worker = await startBenchWorker(databaseUrl);
  try {
    await runToItsEnd(db, organization, 'activated');
    const { rows } = await sql<{ id: string }>`
      select member_id as id from steward.member_connections where effective = 'organization' order by md5(member_id::text) limit 300`.execute(
      db,
    );
    const took: number[] = [];
    for (const { id } of rows) {
      const started = performance.now();
      await db.transaction().execute(async (trx) => {
        await sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${id}, ${organization.organizationId}, 'connected')`.execute(
          trx,
        );
        await sql`select steward.changed('member', ${id})`.execute(trx);
      });
      for (;;) {
        const row = await db
          .selectFrom('steward.member_connections')
          .select('effective')
          .where('member_id', '=', id)
          .executeTakeFirst();
        if (row?.effective === 'personal') break;
        if (performance.now() - started > 30_000) throw new Error(`Member ${id} did not follow within 30 s`);
        await new Promise((wait) => setTimeout(wait, 1));
      }
      took.push(performance.now() - started);
    }
    const peakRssMb = worker.takePeakRssMb();
    await worker.stop();
    const noOp = await measureNoOpJobs(databaseUrl, 300);
    const { p50Ms, p99Ms } = summary(took);
    const rival = summary(noOp);
    const total = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / 1000;
    return {
      work: 'latency',
      members,
      ours: { s: round(total(took)) },
      limit: { s: round(total(noOp)) },
      rival: { name: 'BullMQ no-op job on the same Postgres', s: round(total(noOp)), members: noOp.length },
      ratioToLimit: round(total(took) / total(noOp), 2),
      timesFaster: null,
      p50Ms,
      p99Ms,
      peakRssMb,
      notes: `one change at a time on an idle worker, from the begin of the app's transaction until its stored row is seen; the no-op job: p50 ${rival.p50Ms} ms, p99 ${rival.p99Ms} ms from add to handler`,
    };
  } finally {
    await worker.stop();
  }
}

/** Every benchmark by its name. */
export const works: Readonly<Record<string, (input: BenchInput) => Promise<BenchResult>>> = {
  fanout,
  cascade,
  plan,
  resolve,
  latency,
};
