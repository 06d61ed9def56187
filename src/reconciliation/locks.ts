import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/**
 * Who may write an organization's rows at the same time. A chunk of an organization's run holds the
 * organization alone; runs of single members and event types share it and hold what they are about alone.
 * Taken before the first read, each in a statement of its own: the statements after it see everything
 * that the holder before committed, so an older snapshot never wins. All end with the transaction.
 * @see docs/reconciliation.md
 */

const lockKey = (what: 'org' | 'lane' | 'member', id: string) => sql`hashtextextended(${`${what}:${id}`}, 0)`;

/** Waits until nobody else writes in this organization, a second lane included, and keeps it so. */
export async function lockOrganization(trx: Transaction<DB>, organizationId: string): Promise<void> {
  await sql`select steward.hold_organization(${organizationId}::uuid)`.execute(trx);
}

/** Waits until no chunk writes in this organization, in either lane, and keeps chunks out; other single runs go on. */
export async function shareOrganization(trx: Transaction<DB>, organizationId: string): Promise<void> {
  await sql`
    select pg_advisory_xact_lock_shared(hashtextextended(what || ':' || ${organizationId}::uuid, 0))
      from unnest(array['org', 'lane']) what`.execute(trx);
}

/** Holds the second lane of an organization, where nobody does; whoever begins a chunk or a single run then waits. Never waits. */
export async function tryLockLane(trx: Transaction<DB>, organizationId: string): Promise<boolean> {
  const { rows } = await sql<{ held: boolean }>`
    select pg_try_advisory_xact_lock(${lockKey('lane', organizationId)}) as held`.execute(trx);
  return rows[0]?.held ?? false;
}

/** Holds these members alone among the runs that share their organization. Sorted, so that two runs cannot wait for each other. */
export async function lockMembers(trx: Transaction<DB>, memberIds: readonly string[]): Promise<void> {
  for (const id of [...memberIds].sort())
    await sql`select pg_advisory_xact_lock(${lockKey('member', id)})`.execute(trx);
}

/**
 * Holds these event types alone among the runs that share their organization. Taken after members. By stripes, not by
 * ids: somebody may host more event types than the server holds locks for. Who meets on a stripe waits a moment.
 */
export async function lockEventTypes(trx: Transaction<DB>, eventTypeIds: readonly string[]): Promise<void> {
  await sql`
    with stripes as materialized (
      select distinct hashtextextended('event_type:' || (hashtextextended(id, 0) & ${eventTypeStripes - 1}), 0) as key
        from unnest(${[...eventTypeIds]}::text[]) id order by key)
    select pg_advisory_xact_lock(key) from stripes`.execute(trx);
}

/** A power of two. */
const eventTypeStripes = 128;
