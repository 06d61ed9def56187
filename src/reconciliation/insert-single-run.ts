import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import type { Counts } from './counts.ts';
import type { OrganizationFacts } from './organization-facts.ts';

/** Records a run of one member or event type that did something, in its transaction: it is done when it is seen. */
export async function insertSingleRun(
  trx: Transaction<DB>,
  run: {
    readonly id: string;
    readonly target: 'member' | 'event_type';
    readonly targetId: string;
    readonly facts: OrganizationFacts;
    readonly cause: string;
    readonly actor: Actor;
    readonly counts: Counts;
  },
): Promise<void> {
  const { id, target, targetId, facts, cause, actor, counts } = run;
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, connection_id, generation, cause, actor, state, phase, counts,
                              created_at, started_at, ended_at)
    values (${id}, ${target}, ${facts.organizationId}, ${targetId}, ${facts.connectionId}, ${facts.generation}, ${cause}, ${actor}, 'done', 'done',
            ${JSON.stringify(counts)}::jsonb, steward.now(), steward.now(), steward.now())`.execute(trx);
}
