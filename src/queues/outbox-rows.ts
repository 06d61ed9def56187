import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { findFact } from '../db/installation-repository.ts';
import { StewardError } from '../errors.ts';

export type OutboxRow = {
  readonly id: number;
  readonly job: string;
  readonly key: string;
  readonly payload: Record<string, unknown>;
  /** where it was said: `readTraces` understands it */
  readonly trace: unknown;
};

/**
 * Takes up to `limit` messages that are due and that nobody holds, in the order of their time: one statement,
 * one short transaction. Never "id above the last one": a late commit would be passed over. Nothing for a relay whose
 * queue is not the installation's any more.
 */
export async function claimOutbox(
  db: Database,
  {
    queue,
    leaseToken,
    leaseMs,
    limit,
  }: {
    readonly queue: 'postgres' | 'redis';
    readonly leaseToken: string;
    readonly leaseMs: number;
    readonly limit: number;
  },
): Promise<OutboxRow[]> {
  const { rows } = await sql<OutboxRow>`
    update steward.outbox message
       set lease_token = ${leaseToken}, lease_until = steward.now() + ${leaseMs} * interval '1 millisecond',
           attempts = attempts + 1
      from (select id from steward.outbox
             where available_at <= steward.now() and (lease_until is null or lease_until < steward.now())
               and not exists (select from steward.installation where key = 'queue' and value->>'kind' <> ${queue})
             order by available_at, id
             limit ${limit}
             for update skip locked) due
     where message.id = due.id
    returning message.id, message.job, message.key, message.payload, message.trace`.execute(db);
  return rows.sort((a, b) => a.id - b.id);
}

/** @throws StewardError `queue_moved` when the installation's queue is another than this one */
export async function checkNotMoved(db: Database, queue: 'postgres' | 'redis'): Promise<void> {
  const recorded = await findFact<{ readonly kind: string }>(db, 'queue');
  if (recorded && recorded.kind !== queue)
    throw new StewardError(
      'queue_moved',
      `The queue was moved to ${recorded.kind}, and this worker is of ${queue}: it relays nothing; restart it with STEWARD_QUEUE=${recorded.kind}.`,
    );
}

/** Forgets messages that are in the queue; those whose lease somebody else took over stay with them. */
export async function deleteOutbox(db: Database, ids: readonly number[], leaseToken: string): Promise<number> {
  const { rows } = await sql<{ deleted: number }>`
    with gone as (delete from steward.outbox where id = any(${[...ids]}::bigint[]) and lease_token = ${leaseToken} returning 1)
    select count(*)::int as deleted from gone`.execute(db);
  return rows[0]?.deleted ?? 0;
}

/** Gives messages back that could not be moved. */
export async function releaseOutbox(db: Database, leaseToken: string): Promise<void> {
  await sql`update steward.outbox set lease_token = null, lease_until = null where lease_token = ${leaseToken}`.execute(
    db,
  );
}

/** How many messages are due, and for how long the oldest has been. */
export async function outboxBacklog(db: Database): Promise<{ readonly unsent: number; readonly oldestAgeMs: number }> {
  const { rows } = await sql<{ unsent: number; oldest: number }>`
    select count(*)::int as unsent,
           coalesce(extract(epoch from steward.now() - min(available_at)) * 1000, 0)::float8 as oldest
      from steward.outbox where available_at <= steward.now()`.execute(db);
  return { unsent: rows[0]?.unsent ?? 0, oldestAgeMs: Math.max(0, rows[0]?.oldest ?? 0) };
}
