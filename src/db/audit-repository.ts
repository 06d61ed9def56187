import { sql, type Transaction } from 'kysely';
import type { DB } from './schema.ts';

/** Who acts: `member:ID`, `operator:NAME`, or one of the fixed ones. */
export type Actor = `member:${string}` | `operator:${string}` | 'app' | 'zoom' | 'schedule';

export type AuditEntry = {
  readonly organizationId: string | null;
  readonly actor: Actor;
  /** what was done, e.g. connection.disconnect_requested */
  readonly action: string;
  readonly reason?: string;
  readonly subjectId?: string;
  /** counts and facts: never a token, code or signature */
  readonly data?: Readonly<Record<string, unknown>>;
};

/** Writes an audit entry, in the transaction of the act. */
export async function insertAudit(trx: Transaction<DB>, entry: AuditEntry): Promise<void> {
  await sql`
    insert into steward.audit_log (organization_id, actor, action, reason, subject_id, data, at)
    values (${entry.organizationId}, ${entry.actor}, ${entry.action}, ${entry.reason ?? null}, ${entry.subjectId ?? null},
            ${JSON.stringify(entry.data ?? {})}::jsonb, steward.now())`.execute(trx);
}
