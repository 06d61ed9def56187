import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { type DeriveRequest, deriveDomainMappings } from '../db/derived-mapping-repository.ts';
import { insertEvent } from '../db/event-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { writePersonalBookings } from './bookings-chunk.ts';
import { addCounts, type Counts, hasCounts, prefixCounts } from './counts.ts';
import { insertSingleRun } from './insert-single-run.ts';
import type { LocationAdapter } from './locations-adapter.ts';
import { reconcileEventTypes } from './locations-apply.ts';
import { lockEventTypes, lockMembers, shareOrganization } from './locks.ts';
import { getOrganizationFacts } from './organization-facts.ts';
import { findStop } from './stops.ts';
import { writeFacts } from './write-facts.ts';
import { writeMembers } from './write-members.ts';

export type SingleRunRequest = {
  /** member_changed, event_type_changed, operator … */
  readonly cause: string;
  readonly actor: Actor;
  readonly adapter?: LocationAdapter;
};

/** What a run of one member or event type came to. written: counts say what; unchanged: everything was right already. */
export type SingleRunResult = {
  readonly state: 'written' | 'unchanged' | 'paused' | 'observed' | 'unknown';
  readonly counts: Counts;
};

/**
 * Brings the stored facts, result and locations of one member up to date, in every organization that knows them
 * (a member who moved or left has rows in the old one), each in one transaction. People whose match hangs on the
 * same address or Zoom user are looked at with them. A run is recorded only if something was written.
 */
export async function reconcileMember(
  db: Database,
  memberId: string,
  request: SingleRunRequest,
): Promise<SingleRunResult> {
  const organizationIds = await listOrganizations(db, memberId);
  const total: { state: SingleRunResult['state']; counts: Counts } = { state: 'unknown', counts: {} };
  for (const organizationId of organizationIds) {
    const { state, counts } = await db
      .transaction()
      .execute((trx) => reconcileInOrganization(trx, { ...request, memberId, organizationId }));
    total.counts = addCounts(total.counts, counts);
    if (total.state === 'unknown' || state === 'written') total.state = state;
  }
  return total;
}

/**
 * The organization the member is in, those that still have stored rows of them, and those whose event types they are
 * to serve: who left before any run came by has no rows.
 */
async function listOrganizations(db: Database, memberId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select organization_id as id from steward_app.members where id = ${memberId}
     union select organization_id from steward.member_facts where member_id = ${memberId}
     union select organization_id from steward_app.event_types where host_member_id = ${memberId}
     union select organization_id from steward_app.event_type_hosts where member_id = ${memberId}
     order by 1`.execute(db);
  return rows.map(({ id }) => id);
}

async function reconcileInOrganization(
  trx: Transaction<DB>,
  request: SingleRunRequest & { memberId: string; organizationId: string },
): Promise<SingleRunResult> {
  const { organizationId, memberId, cause, actor, adapter = 'rows' } = request;
  await shareOrganization(trx, organizationId);
  const memberIds = [memberId, ...(await listPeers(trx, organizationId, memberId))];
  await lockMembers(trx, memberIds);

  const facts = await getOrganizationFacts(trx, organizationId);
  const stop = await findStop(trx, facts);
  if (stop) return { state: stop === 'pause' ? 'paused' : 'observed', counts: {} };

  await deriveFor(trx, { organizationId, memberIds, actor });
  const runId = randomUUID();
  let counts = await writeFacts(trx, facts, memberIds);
  const members = await writeMembers(trx, { facts, memberIds, runId });
  counts = addCounts(counts, members.counts);
  for (const { memberId: subjectId, before, after } of members.changes) {
    await insertEvent(trx, {
      organizationId,
      type: 'member.connection_changed',
      subjectId,
      data: { before, after, runId, cause },
    });
  }
  counts = addCounts(counts, await writePersonalBookings(trx, organizationId, { ids: memberIds }));

  const eventTypeIds = await listEventTypes(trx, organizationId, memberIds);
  if (eventTypeIds.length > 0) {
    await lockEventTypes(trx, eventTypeIds);
    counts = addCounts(
      counts,
      prefixCounts('locations', await reconcileEventTypes(trx, { organizationId, eventTypeIds, runId, adapter })),
    );
  }
  if (!hasCounts(counts)) return { state: 'unchanged', counts };
  await insertSingleRun(trx, { id: runId, target: 'member', targetId: memberId, facts, cause, actor, counts });
  return { state: 'written', counts };
}

/** Mappings that follow from pairs of domains, before facts are written; whomever else that concerned is looked at next. */
async function deriveFor(
  trx: Transaction<DB>,
  request: DeriveRequest & { memberIds: readonly string[] },
): Promise<void> {
  for (const { memberId } of await deriveDomainMappings(trx, request))
    if (!request.memberIds.includes(memberId))
      await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
}

/** Enough: of three with one address, whichever comes or goes, the others stay ambiguous. */
const mostPeers = 16;

/** Whose match hangs on the same address or Zoom user; they are looked at with the member. */
async function listPeers(trx: Transaction<DB>, organizationId: string, memberId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from steward.member_peers(${organizationId}, ${memberId}, ${mostPeers}) as id`.execute(trx);
  return rows.map(({ id }) => id);
}

/** Event types these members own, are assigned to or host. */
async function listEventTypes(
  trx: Transaction<DB>,
  organizationId: string,
  memberIds: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from steward_app.event_types where host_member_id = any(${memberIds}::uuid[]) and organization_id = ${organizationId}
     union select event_type_id from steward_app.event_type_hosts
            where member_id = any(${memberIds}::uuid[]) and organization_id = ${organizationId}`.execute(trx);
  return rows.map(({ id }) => id);
}
