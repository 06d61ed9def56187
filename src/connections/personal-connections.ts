import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { releaseGrant } from '../grants/release.ts';

type PersonalState = 'active' | 'suspect' | 'broken' | 'disconnected';

const changed = (trx: Transaction<DB>, memberId: string) =>
  sql`select steward.changed('member', ${memberId}::uuid)`.execute(trx);

/** Locks the member's managed connection, if there is one: before the Zoom account of any grant. */
export async function lockPersonal(trx: Transaction<DB>, memberId: string) {
  return trx
    .selectFrom('steward.personal_connections as p')
    .innerJoin('steward_app.members as m', (join) =>
      join.onRef('m.id', '=', 'p.member_id').onRef('m.organization_id', '=', 'p.organization_id'),
    )
    .selectAll('p')
    .where('p.member_id', '=', memberId)
    .forUpdate('p')
    .executeTakeFirst();
}

/**
 * A member's own Zoom becomes usable: the connection points to the grant of the consent that the caller filed. The
 * row and its id stay, whoever reconnects. In the same transaction the member is said to have changed.
 * @returns id of the personal connection
 */
export async function activatePersonal(
  trx: Transaction<DB>,
  consent: { readonly memberId: string; readonly grantId: string; readonly actor: Actor },
): Promise<string> {
  const { memberId, grantId, actor } = consent;
  const member = await trx
    .selectFrom('steward_app.members')
    .select('organization_id')
    .where('id', '=', memberId)
    .where('active', '=', true)
    .executeTakeFirst();
  if (!member)
    throw new StewardError('member_not_found', 'Expected an active member, found none; check the id.', {
      context: { memberId },
    });
  const grant = await trx
    .selectFrom('steward.grants')
    .select(['zoom_account_id', 'zoom_user_id'])
    .where('id', '=', grantId)
    .where('client_kind', '=', 'personal')
    .where('state', 'in', ['living', 'suspect'])
    .executeTakeFirst();
  if (!grant) {
    throw new StewardError(
      'grant_not_usable',
      'Expected a living grant of the personal app, found none; ask the member to consent again.',
      {
        context: { grantId },
      },
    );
  }
  const before = await lockPersonal(trx, memberId);
  const { rows } = await sql<{ id: string }>`
    insert into steward.personal_connections (id, organization_id, member_id, state, grant_id, zoom_account_id, zoom_user_id, changed_at)
    values (${randomUUID()}, ${member.organization_id}, ${memberId}, 'active', ${grantId}, ${grant.zoom_account_id}, ${grant.zoom_user_id}, steward.now())
    on conflict (organization_id, member_id) do update
       set state = 'active', grant_id = excluded.grant_id, zoom_account_id = excluded.zoom_account_id,
           zoom_user_id = excluded.zoom_user_id, changed_at = excluded.changed_at
    returning id`.execute(trx);
  const id = rows[0]?.id as string;
  await tell(trx, { id, organizationId: member.organization_id, memberId, state: 'active', actor });
  if (before && before.grant_id !== null && before.grant_id !== grantId) {
    await releaseGrant(trx, {
      grantId: before.grant_id,
      organizationId: before.organization_id,
      actor,
      reason: 'personal_replaced',
    });
  }
  return id;
}

/**
 * A member, or an operator for them, ends the member's own Zoom; the grant is released. Twice changes nothing.
 * @returns whether there was one to end
 */
export async function disconnectPersonal(
  trx: Transaction<DB>,
  { memberId, actor, reason }: { readonly memberId: string; readonly actor: Actor; readonly reason?: string },
): Promise<boolean> {
  const held = await lockPersonal(trx, memberId);
  if (!held || held.state === 'disconnected' || held.state === 'connecting') return false;
  await trx
    .updateTable('steward.personal_connections')
    .set({ state: 'disconnected', grant_id: null, changed_at: sql`steward.now()` })
    .where('id', '=', held.id)
    .execute();
  const { id, organization_id: organizationId } = held;
  await tell(trx, {
    id,
    organizationId,
    memberId,
    state: 'disconnected',
    actor,
    ...(reason === undefined ? {} : { reason }),
  });
  if (held.grant_id !== null) {
    await releaseGrant(trx, { grantId: held.grant_id, organizationId, actor, reason: 'personal_disconnected' });
  }
  return true;
}

/**
 * Brings managed personal connections in line with their grants: suspect after a first failed look, broken when the
 * grant is dead after two, active again when it lives. Each member is said to have changed, in the same transaction.
 * The rule reads the grant itself, so nobody waits for this; it is for lists, notices and history.
 * @returns how many changed
 */
export async function settlePersonalConnections(
  db: Database,
  { limit = 500 }: { readonly limit?: number } = {},
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{
      id: string;
      organizationId: string;
      memberId: string;
      state: PersonalState;
      deadReason: string | null;
    }>`
      with due as (
        select p.id, case when g.state = 'dead' then g.dead_reason end as dead_reason, case g.state when 'living' then 'active' when 'suspect' then 'suspect' else 'broken' end as state
          from steward.personal_connections p join steward.grants g on g.id = p.grant_id
         where p.state in ('active', 'suspect', 'broken')
           -- Whoever just consented may be this one: their new pair is on its way.
           and (g.state not in ('dead', 'gone') or not exists (select from steward.personal_consents c where c.sealed_access is not null))
           and p.state <> case g.state when 'living' then 'active' when 'suspect' then 'suspect' else 'broken' end
         order by p.id limit ${limit} for update of p skip locked)
      update steward.personal_connections p set state = due.state, changed_at = steward.now()
        from due where p.id = due.id
      returning p.id, p.organization_id as "organizationId", p.member_id as "memberId", p.state, due.dead_reason as "deadReason"`.execute(
      trx,
    );
    for (const { deadReason, ...row } of rows)
      await tell(trx, { ...row, actor: 'zoom', ...(deadReason === null ? {} : { reason: deadReason }) });
    return rows.length;
  });
}

async function tell(
  trx: Transaction<DB>,
  told: {
    readonly id: string;
    readonly organizationId: string;
    readonly memberId: string;
    readonly state: PersonalState;
    readonly actor: Actor;
    readonly reason?: string;
  },
): Promise<void> {
  const { id, organizationId, memberId, state, actor, reason } = told;
  const why = reason === undefined ? {} : { reason };
  await insertAudit(trx, {
    organizationId,
    actor,
    action: `personal.${state}`,
    subjectId: id,
    data: { memberId },
    ...why,
  });
  // A single failed look is no news for anybody. Otherwise the member hears who serves now: the organization may take over.
  if (state !== 'suspect') {
    const { rows } = await sql<{ servedBy: string; hosting: string }>`
      select effective as "servedBy", hosting from steward.resolve_member(${memberId})`.execute(trx);
    const data = { connectionId: id, ...why, ...rows[0] };
    await insertEvent(trx, { organizationId, type: `personal.${state}`, subjectId: memberId, data });
  }
  await changed(trx, memberId);
}
