import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';
import {
  type BenchInput,
  type BenchResult,
  queueName,
  resultOf,
  round,
  runToItsEnd,
  startWorker,
  summary,
} from '../measure.ts';
import { measureNoOpJobs } from '../rivals/no-op-job.ts';
import { seedOrganization, settle } from '../world.ts';

const total = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / 1000;

/** Says it as the main app does; without the NOTIFY, as if the listening connection were cut, the poll must find it. */
const announcement = (id: string, notify: boolean) =>
  notify
    ? sql`select steward.changed('member', ${id})`
    : sql`insert into steward.outbox (job, key, payload, created_at, available_at)
          values ('reconcile-member', ${id}, jsonb_build_object('memberId', ${id}::text), steward.now(), steward.now())`;

async function follow(db: Database, organizationId: string, id: string, notify: boolean): Promise<number> {
  const started = performance.now();
  await db.transaction().execute(async (trx) => {
    await sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${id}, ${organizationId}, 'connected')`.execute(
      trx,
    );
    await announcement(id, notify).execute(trx);
  });
  for (;;) {
    const row = await db
      .selectFrom('steward.member_connections')
      .select('effective')
      .where('member_id', '=', id)
      .executeTakeFirst();
    if (row?.effective === 'personal') return performance.now() - started;
    if (performance.now() - started > 30_000) throw new Error(`Member ${id} did not follow within 30 s`);
    await new Promise((wait) => setTimeout(wait, 1));
  }
}

async function followed(input: BenchInput, changes: number, notify: boolean): Promise<number[]> {
  const { db, members } = input;
  const organization = await seedOrganization(db, members);
  await settle(db);
  const worker = await startWorker(input);
  try {
    await runToItsEnd(db, organization, 'activated');
    const { rows } = await sql<{ id: string }>`
      select member_id as id from steward.member_connections where effective = 'organization' order by md5(member_id::text) limit ${changes + 10}`.execute(
      db,
    );
    const took: number[] = [];
    for (const { id } of rows) took.push(await follow(db, organization.organizationId, id, notify));
    // The first ones plan; a process that serves has done that.
    return took.slice(10);
  } finally {
    await worker.stop();
  }
}

/** From a change to its stored row on an idle worker, against a job that does nothing on the same queue. */
export async function latency(input: BenchInput): Promise<BenchResult> {
  const took = await followed(input, 300, true);
  const noOp = await measureNoOpJobs(input, 300);
  const rival = summary(noOp);
  return resultOf({
    work: 'latency',
    members: input.members,
    ours: { s: round(total(took)) },
    limit: { s: round(total(noOp)) },
    rival: { name: `BullMQ no-op job on the same ${queueName(input)}`, s: round(total(noOp)), members: noOp.length },
    ratioToLimit: round(total(took) / total(noOp), 2),
    ...summary(took),
    notes: `one change at a time on an idle worker, queue on ${queueName(input)}, from the begin of the app's transaction until its stored row is seen; the no-op job: p50 ${rival.p50Ms} ms, p99 ${rival.p99Ms} ms from add to handler`,
  });
}

const pollMs = 1_000;

/** The same where no NOTIFY arrives: the poll is the rule. The limit is the poll's interval and 50 ms. */
export async function poll(input: BenchInput): Promise<BenchResult> {
  const took = await followed(input, 40, false);
  const { p50Ms, p99Ms } = summary(took);
  const limit = (pollMs + 50) / 1000;
  return resultOf({
    work: 'poll',
    members: input.members,
    ours: { s: round(Math.max(...took) / 1000) },
    limit: { s: limit },
    ratioToLimit: round(Math.max(...took) / 1000 / limit, 2),
    p50Ms,
    p99Ms,
    notes: `the slowest of ${took.length} changes said without a NOTIFY, queue on ${queueName(input)}; limit: the poll's interval (${pollMs} ms) and 50 ms`,
  });
}
