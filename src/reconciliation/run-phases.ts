import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { bookingsChunk, writePersonalBookings } from './bookings-chunk.ts';
import { addCounts, type Counts, prefixCounts } from './counts.ts';
import { finishRun } from './finish-run.ts';
import { inRange } from './key-range.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { locationsChunk } from './locations-apply.ts';
import type { OrganizationFacts } from './organization-facts.ts';
import { keepToIndexes } from './planner.ts';
import type { Run, RunPhase } from './run-record.ts';
import { writeMemberChunk } from './write-member-chunk.ts';
import { writeMemberRange } from './write-members.ts';
import { additionsChunk } from './zoom-starts.ts';

export type PhaseRequest = {
  readonly run: Run;
  readonly facts: OrganizationFacts;
  readonly adapter: LocationAdapter;
  /** rows at most */
  readonly limit: number;
  /** the last key of the phase, or of this part of it; null: there is no bound */
  readonly upTo: string | null;
  /** the pass over the facts writes the results as well, and the phase of the members falls away */
  readonly alsoResults: boolean;
  /** whether any Zoom location could be taken; else the phase of the locations only looks for what returns */
  readonly mayGo: boolean;
};

export type PhaseChunk = {
  /** where the phase goes on; null at its end */
  readonly cursor: string | null;
  /** keys looked at */
  readonly looked: number;
  readonly counts: Counts;
};

/** One chunk of a phase: bounded work in the caller's transaction, which holds the organization. */
export type Phase = {
  readonly next: RunPhase;
  chunk(trx: Transaction<DB>, request: PhaseRequest): Promise<PhaseChunk>;
  /** keys there are, for the progress shown; null where counting costs too much */
  total(trx: Transaction<DB>, request: PhaseRequest): Promise<number | null>;
  /** the keys a large phase is split by, in their order; without: it is never split */
  readonly keys?: (request: Pick<PhaseRequest, 'mayGo'>) => PhaseKeys;
};

/** A column that an index has after the organization. */
export type PhaseKeys = { readonly table: string; readonly column: string };

async function count(trx: Transaction<DB>, query: ReturnType<typeof sql<{ n: number }>>): Promise<number> {
  const { rows } = await query.execute(trx);
  return rows[0]?.n ?? 0;
}

/**
 * Facts of members by ranges of their ids; facts of ids that are no members any more come along in the range. Where
 * nobody weighs the run between facts and results (see `PhaseRequest.alsoResults`), the results are written in the same pass.
 */
const factsPhase: Phase = {
  next: 'members',
  keys: () => ({ table: 'steward_app.members', column: 'id' }),
  async chunk(trx, { run, facts, limit, upTo, alsoResults }) {
    const { last, looked, counts } = await writeMemberChunk(trx, {
      facts,
      range: { after: run.cursor, upTo },
      limit,
      runId: alsoResults ? run.id : null,
    });
    const range = { after: run.cursor, upTo: last ?? upTo };
    return {
      cursor: last,
      looked,
      counts: alsoResults ? addCounts(counts, await writePersonalBookings(trx, run.organizationId, range)) : counts,
    };
  },
  async total(trx, { run }) {
    await keepToIndexes(trx);
    return count(trx, sql`select count(*) as n from steward_app.members where organization_id = ${run.organizationId}`);
  },
};

/** Results by ranges of keys; the last range has no end, so that results without facts are found. */
const membersPhase: Phase = {
  next: 'locations',
  keys: () => ({ table: 'steward.member_facts', column: 'member_id' }),
  async chunk(trx, { run, facts, limit, upTo }) {
    await keepToIndexes(trx);
    const page = sql`
      from steward.member_facts
     where organization_id = ${run.organizationId} and ${inRange(sql.ref('member_id'), { after: run.cursor, upTo })}`;
    const { rows } = await sql<{ last: string | null; n: number }>`
      with last as materialized (select member_id ${page} order by member_id offset ${limit - 1}::integer limit 1)
      select (select member_id from last) as last,
             case when exists (select from last) then ${limit}::integer else (select count(*) ${page}) end as n`.execute(
      trx,
    );
    const { last, n } = rows[0] as { last: string | null; n: number };
    const next = n < limit ? null : last;
    const range = { after: run.cursor, upTo: next ?? upTo };
    const counts = await writeMemberRange(trx, { facts, range, runId: run.id });
    return {
      cursor: next,
      looked: n,
      counts: addCounts(counts, await writePersonalBookings(trx, run.organizationId, range)),
    };
  },
  async total(trx, { run }) {
    await keepToIndexes(trx);
    return count(
      trx,
      sql`select count(*) as n from steward.member_facts where organization_id = ${run.organizationId}`,
    );
  },
};

const locationsPhase: Phase = {
  next: 'additions',
  keys: ({ mayGo }) =>
    mayGo
      ? { table: 'steward_app.event_types', column: 'id' }
      : { table: 'steward.archived_locations', column: 'event_type_id' },
  async chunk(trx, { run, adapter, limit, upTo, mayGo }) {
    const { lastEventTypeId, eventTypes, counts } = await locationsChunk(trx, {
      organizationId: run.organizationId,
      runId: run.id,
      adapter,
      afterEventTypeId: run.cursor,
      upToEventTypeId: upTo,
      limit,
      mayGo,
    });
    return { cursor: lastEventTypeId, looked: eventTypes, counts: prefixCounts('locations', counts) };
  },
  total: async () => null,
};

/** After whatever returns has returned: new event types that start with Zoom, and one-time runs. */
const additionsPhase: Phase = {
  next: 'bookings',
  async chunk(trx, { run, adapter, limit }) {
    const { lastEventTypeId, eventTypes, added, undone } = await additionsChunk(trx, {
      organizationId: run.organizationId,
      runId: run.id,
      adapter,
      afterEventTypeId: run.cursor,
      limit,
    });
    return { cursor: lastEventTypeId, looked: eventTypes, counts: prefixCounts('locations', { added, undone }) };
  },
  total: async () => null,
};

const bookingsPhase: Phase = {
  next: 'finish',
  async chunk(trx, { run, facts, limit }) {
    const { lastBookingId, bookings, counts } = await bookingsChunk(trx, { facts, after: run.cursor, limit });
    return { cursor: lastBookingId, looked: bookings, counts };
  },
  total: async () => null,
};

const finishPhase: Phase = {
  next: 'done',
  async chunk(trx, { run }) {
    await finishRun(trx, run);
    return { cursor: null, looked: 0, counts: {} };
  },
  total: async () => null,
};

/** What a run goes through, in order. */
export const phases = {
  facts: factsPhase,
  members: membersPhase,
  locations: locationsPhase,
  additions: additionsPhase,
  bookings: bookingsPhase,
  finish: finishPhase,
} as const satisfies Record<Exclude<RunPhase, 'done'>, Phase> as Readonly<Record<Exclude<RunPhase, 'done'>, Phase>>;
