import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { findFact, upsertFact } from '../db/installation-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { queueNames } from '../jobs/contract/definition.ts';
import type { RecordedQueue } from './migrate-all.ts';
import { oweEveryOrganization, oweOpenRuns } from './owe-again.ts';
import type { QueueSystem, UndoneJob } from './queue.ts';
import { withoutWorkers } from './worker-presence.ts';

export type MoveOptions = {
  readonly to: 'postgres' | 'redis';
  /** the queue that is left; null: it is gone, what it owed is rebuilt */
  readonly from: QueueSystem | null;
  /** makes the new queue ready, or throws one sentence; nothing has been changed yet */
  readonly prepare: () => Promise<void>;
  readonly actor: Actor;
  readonly reason: string;
  /** tests die there */
  readonly onStep?: (step: MoveStep) => Promise<void> | void;
};

/** Where a move may die; a second one goes on from there. */
export type MoveStep = 'recorded' | 'carried';

export type Moved = {
  readonly from: 'postgres' | 'redis';
  readonly to: 'postgres' | 'redis';
  /** jobs of the old queue that are in the outbox now */
  readonly carried: number;
  /** runs and organizations that are owed anew */
  readonly rebuilt: number;
  /** jobs that had failed for good; they stay in the old queue */
  readonly deadLetters: number;
};

const deadLettersCounted = 1_000;

/**
 * Moves the installation to the other queue while no worker lives. First the new queue is recorded: from then on
 * nobody relays to the old one. Then what the old one owes goes back to the outbox, in one transaction; only then it
 * is forgotten there. Dying anywhere loses nothing, and the same command again goes on. Null: it is there already.
 * @throws StewardError `workers_alive`, `queue_unrecorded`
 */
export async function moveQueue(db: Database, options: MoveOptions): Promise<Moved | null> {
  const recorded = await findFact<RecordedQueue>(db, 'queue');
  if (!recorded)
    throw new StewardError('queue_unrecorded', 'No queue is recorded in the database; run "zoom-steward migrate".');
  const { to } = options;
  const from = recorded.kind === to ? recorded.movingFrom : recorded.kind;
  if (from === undefined) return null;
  const moved = await withoutWorkers(db, async () => {
    await options.prepare();
    await upsertFact(db, 'queue', { kind: to, prefix: recorded.prefix, movingFrom: from } satisfies RecordedQueue);
    await options.onStep?.('recorded');
    return carryOver(db, from, recorded.prefix, options);
  });
  if (moved) return moved;
  throw new StewardError(
    'workers_alive',
    'A worker of this installation is alive; stop every worker, then move the queue: what they hold would be done twice or in neither.',
  );
}

async function carryOver(
  db: Database,
  kind: 'postgres' | 'redis',
  prefix: string,
  { from, to, actor, reason, onStep }: MoveOptions,
): Promise<Moved> {
  const owed = from === null ? [] : (await Promise.all(queueNames.map((queue) => from.undone(queue)))).flat();
  const dead =
    from === null ? [] : await Promise.all(queueNames.map((queue) => from.failed(queue, deadLettersCounted)));
  const moved = await db.transaction().execute(async (trx): Promise<Moved> => {
    await insertUndone(trx, owed);
    const rebuilt = (await oweOpenRuns(trx)) + (from === null ? await oweEveryOrganization(trx) : 0);
    // Taken from a relay that nobody saw, should there be one: what it delivered to the old queue is said again.
    await sql`update steward.outbox set lease_token = null, lease_until = null where lease_token is not null`.execute(
      trx,
    );
    const data = { from: kind, to, carried: owed.length, rebuilt };
    await insertAudit(trx, { organizationId: null, actor, action: 'queue.moved', reason, data });
    return { ...data, deadLetters: dead.flat().length };
  });
  await onStep?.('carried');
  if (from !== null) for (const queue of queueNames) await from.forgetUndone(queue);
  await upsertFact(db, 'queue', { kind: to, prefix } satisfies RecordedQueue);
  return moved;
}

async function insertUndone(trx: Transaction<DB>, jobs: readonly UndoneJob[]): Promise<void> {
  const rows = jobs.map(({ job, key, payload, trace, delayMs }) => ({
    job,
    key,
    payload,
    trace: trace.length === 0 ? null : trace,
    delay: delayMs,
  }));
  await sql`
    insert into steward.outbox (job, key, payload, trace, created_at, available_at)
    select job, key, payload, nullif(trace, 'null'::jsonb), steward.now(), steward.now() + delay * interval '1 millisecond'
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as owed (job text, key text, payload jsonb, trace jsonb, delay float8)`.execute(
    trx,
  );
}
