import { sql } from 'kysely';
import type { Database } from './database.ts';

/** An event as the main app gets it; docs/contracts/events.md has what each type says. */
export type ToldEvent = {
  /** cursor: grows with every event of the installation, has gaps */
  readonly position: number;
  readonly organizationId: string;
  readonly type: string;
  readonly subjectId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  /** when it happened, ISO 8601 */
  readonly at: string;
};

/** What is put on the queue for one organization: its oldest events that were not taken. */
export type EventBatch = { readonly organizationId: string; readonly events: readonly ToldEvent[] };

/**
 * Gives positions to events that are ready to be told, and sums what was held back; without `batches` not to those of mass changes.
 * @returns how many it saw: `limit` or more, and there may be more
 */
export async function sequenceEvents(db: Database, limit: number, { batches = true } = {}): Promise<number> {
  const { rows } = await sql<{ seen: number }>`select steward.sequence_events(${limit}, ${batches}) as seen`.execute(
    db,
  );
  return rows[0]?.seen ?? 0;
}

/**
 * Takes organizations whose next batch is due, at most `limit`, and says what each is offered. One that is not taken is due
 * again after `redoMs`: the queue may have been wiped, or the batch failed there for good.
 */
export async function claimEventBatches(
  db: Database,
  { limit, events, redoMs }: { readonly limit: number; readonly events: number; readonly redoMs: number },
): Promise<EventBatch[]> {
  // Pairs, as they can only use the index that begins with the organization: by position alone the events of all others are met.
  const { rows } = await sql<EventBatch>`
    with due as (
      select organization_id, taken, newest from steward.event_streams where due_at <= steward.now()
       order by due_at limit ${limit} for update skip locked),
    offered as (
      select due.organization_id, due.newest, batch.last, batch.events
        from due cross join lateral (
          select max(position) as last,
                 jsonb_agg(jsonb_build_object('position', position, 'organizationId', due.organization_id, 'type', type,
                   'subjectId', subject_id, 'data', data, 'at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by position) as events
            from (select * from steward.events e
                   where (e.organization_id, e.position) > (due.organization_id, due.taken)
                     and (e.organization_id, e.position) <= (due.organization_id, due.newest)
                     and e.position is not null and e.delivered_at is null
                   order by e.organization_id, e.position limit ${events}) oldest) batch)
    update steward.event_streams stream
       set offered = offered.last, offered_at = case when offered.last is null then stream.offered_at else steward.now() end,
           due_at = case when offered.last is not null then steward.now() + ${redoMs} * interval '1 millisecond'
                         -- The row is locked as it is now, the events are those of when the statement began: younger ones are due at once.
                         when offered.newest is distinct from (select newest from steward.event_streams as_seen
                                                                where as_seen.organization_id = offered.organization_id)
                         then steward.now() end
      from offered where stream.organization_id = offered.organization_id
    returning stream.organization_id as "organizationId", coalesce(offered.events, '[]') as events`.execute(db);
  return rows.filter((batch) => batch.events.length > 0);
}

/** Gives organizations back whose batch could not be put on the queue. */
export async function releaseEventBatches(db: Database, organizationIds: readonly string[]): Promise<void> {
  await sql`
    update steward.event_streams set offered = null, due_at = steward.now()
     where organization_id = any(${[...organizationIds]}::uuid[]) and due_at is not null`.execute(db);
}
