import { sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';

/**
 * Says "look at it" for every connection that uses this grant, in the transaction that changed its state: org
 * connections are verified, members with a personal connection reconciled. What follows is theirs to decide.
 */
export async function tellConnections(trx: Transaction<DB>, grantId: string): Promise<void> {
  const connections = await sql<{ id: string }>`
    select id from steward.org_connections
     where grant_id = ${grantId} and state in ('active', 'interrupted') order by id`.execute(trx);
  for (const { id } of connections.rows) {
    await insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { connectionId: id } });
  }
  const members = await sql<{ memberId: string }>`
    select member_id as "memberId" from steward.personal_connections where grant_id = ${grantId} order by member_id`.execute(
    trx,
  );
  for (const { memberId } of members.rows) {
    await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
  }
}
