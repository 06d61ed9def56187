import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { LocationAdapter } from './locations-adapter.ts';

export type AdditionsRequest = {
  readonly organizationId: string;
  readonly runId: string;
  readonly adapter: LocationAdapter;
  /** last key of the chunk before; null at the start */
  readonly afterEventTypeId: string | null;
  /** event types at most */
  readonly limit: number;
};

export type AdditionsChunk = {
  /** where to go on; null at the end, and at once while the setting is off */
  readonly lastEventTypeId: string | null;
  /** event types looked at */
  readonly eventTypes: number;
  /** event types that start with Zoom now */
  readonly added: number;
  /** additions of a one-time run that were taken back */
  readonly undone: number;
};

/**
 * One chunk of an organization's event types: new ones start with Zoom (`zoom_for_new_event_types`, behaviour §5), and a
 * one-time run that was ordered adds it to the others, or takes back what an earlier one added. The caller holds the organization's lock and has checked the generation in this transaction. Events wait until
 * `tellLocationChanges`.
 */
export async function additionsChunk(trx: Transaction<DB>, request: AdditionsRequest): Promise<AdditionsChunk> {
  const { organizationId, runId, adapter, afterEventTypeId, limit } = request;
  const { rows } = await sql<AdditionsChunk>`
    select last_event_type_id as "lastEventTypeId", event_types as "eventTypes", added, undone
      from steward.zoom_starts_page(${organizationId}, ${runId}, ${adapter}, ${afterEventTypeId}, ${limit})`.execute(
    trx,
  );
  return rows[0] as AdditionsChunk;
}

/**
 * The same for named event types, as the runs of a member or an event type look at them; notes where somebody took a one-time
 * run's addition out. @returns how many start with Zoom now
 */
export async function addZoomTo(
  trx: Transaction<DB>,
  request: { organizationId: string; eventTypeIds: readonly string[]; runId: string; adapter: LocationAdapter },
): Promise<number> {
  const { organizationId, eventTypeIds, runId, adapter } = request;
  const { rows } = await sql<{ added: number }>`
    select steward.add_zoom(${organizationId}, ${runId}, ${adapter}, ${eventTypeIds}::uuid[]) as added,
           steward.note_taken_out(${organizationId}, ${adapter}, ${eventTypeIds}::uuid[])`.execute(trx);
  return rows[0]?.added ?? 0;
}
