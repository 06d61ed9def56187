import { sql } from 'kysely';
import type { Database } from '../db/database.ts';

/** What the database knows of the whole installation, for metrics and `doctor`. Ages in seconds. */
export type FleetFacts = {
  readonly connections: Readonly<Record<string, number>>;
  readonly verify: {
    readonly newest: number | null;
    readonly oldest: number | null;
    /** how long the most delayed verification has been due; 0: none is */
    readonly overdue: number;
  };
  readonly outbox: { readonly unsent: number; readonly oldestAge: number };
  /** events that the main app has not taken, and age of the oldest; age of the oldest batch of a mass change without positions */
  readonly events: { readonly untaken: number; readonly oldestAge: number; readonly oldestBatchAge: number };
  /** names of the switches that are on */
  readonly switches: readonly string[];
  /** client ids whose breaker is open */
  readonly applicationsRefused: readonly { readonly clientId: string; readonly reason: string | null }[];
  readonly grantsUnreadable: number;
  readonly runsStuck: number;
};

/** A run without a heartbeat for this long is stuck: the sweeper (20 s) had its chances. */
export const stuckAfterS = 120;
/** more than so many are not counted: a main app that takes none must not make this slow */
const eventsCounted = 10_000;
const driftAfterHours = 25;
const driftFreshMs = 5 * 60_000;

/** One statement: milliseconds; with 50,000 organizations, as many grants and 20,000 messages 0.1 s. */
export async function readFleetFacts(db: Database, keyIds: readonly string[]): Promise<FleetFacts> {
  const { rows } = await sql<FleetFacts>`
    select
      (select coalesce(jsonb_object_agg(state, n), '{}')
         from (select state, count(*) as n from steward.org_connections group by state) s) as connections,
      (select jsonb_build_object(
                'newest', extract(epoch from steward.now() - max(verified_at)),
                'oldest', extract(epoch from steward.now() - min(verified_at)),
                'overdue', greatest(0, coalesce(extract(epoch from steward.now() - min(verify_due_at)), 0)))
         from steward.org_connections where state in ('active', 'interrupted')) as verify,
      (select jsonb_build_object('unsent', count(*),
                'oldestAge', greatest(0, coalesce(extract(epoch from steward.now() - min(available_at)), 0)))
         from steward.outbox where available_at <= steward.now()) as outbox,
      (select jsonb_build_object('untaken', count(*),
                'oldestAge', greatest(0, coalesce(extract(epoch from steward.now() - min(created_at)), 0)),
                'oldestBatchAge', greatest(0, coalesce(extract(epoch from steward.now() - (select min(created_at) from steward.event_batches)), 0)))
         from (select created_at from steward.events where position is not null and delivered_at is null
                order by position limit ${eventsCounted}) oldest) as events,
      (select coalesce(jsonb_agg(name order by name), '[]') from steward.switches) as switches,
      (select coalesce(jsonb_agg(jsonb_build_object('clientId', client_id, 'reason', breaker_reason) order by client_id), '[]')
         from steward.client_states where breaker_until is not null) as "applicationsRefused",
      (select count(*)::int from steward.grants
        where key_id is not null and not key_id = any(${[...keyIds]}::text[])) as "grantsUnreadable",
      (select count(*)::int from steward.runs
        where state in ('queued', 'running')
          and coalesce(lease_until, started_at, created_at) < steward.now() - ${stuckAfterS} * interval '1 second') as "runsStuck"`.execute(
    db,
  );
  return rows[0] as FleetFacts;
}

/** Stored results that the newest finished look at each organization found wrong, by category. */
export type Drift = Readonly<Record<string, number>>;

/**
 * Reads the drift, at most once in five minutes: it looks at one run of each organization (50,000 of them: 1.5 s), and
 * changes with the daily pass.
 */
export function createDriftReader(db: Database): () => Promise<Drift> {
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<Drift> = Promise.resolve({});
  const read = async (): Promise<Drift> => {
    const { rows } = await sql<{ category: string; n: number }>`
      select substr(found.key, 9) as category, sum(found.value::bigint)::bigint as n
        from steward.org_connections c
       cross join lateral (
         select r.counts from steward.runs r
          where r.organization_id = c.organization_id and r.target = 'organization' and r.state = 'done' and not r.cascade
            and r.created_at > steward.now() - ${driftAfterHours} * interval '1 hour'
          order by r.created_at desc limit 1) newest
       cross join lateral jsonb_each_text(newest.counts) found
       where found.key like 'members.%'
       group by 1`.execute(db);
    return Object.fromEntries(rows.map(({ category, n }) => [category, n]));
  };
  return () => {
    if (performance.now() - readAt > driftFreshMs) {
      readAt = performance.now();
      reading = read();
      reading.catch(() => {
        readAt = Number.NEGATIVE_INFINITY;
      });
    }
    return reading;
  };
}
