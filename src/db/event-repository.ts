import { sql, type Transaction } from 'kysely';
import type { DB } from './schema.ts';

export type EventToTell = {
  readonly organizationId: string;
  /** e.g. connection.activated; the list is in docs/contracts/events.md */
  readonly type: string;
  readonly subjectId?: string;
  /** facts for the main app: never a token, code or signature */
  readonly data?: Readonly<Record<string, unknown>>;
};

/** Writes an event for the main app, in the transaction that made it true. Returns its cursor. */
export async function insertEvent(trx: Transaction<DB>, event: EventToTell): Promise<number> {
  const { rows } = await sql<{ seq: number }>`
    insert into steward.events (organization_id, type, subject_id, data, created_at)
    values (${event.organizationId}, ${event.type}, ${event.subjectId ?? null}, ${JSON.stringify(event.data ?? {})}::jsonb, steward.now())
    returning seq`.execute(trx);
  return rows[0]?.seq as number;
}
