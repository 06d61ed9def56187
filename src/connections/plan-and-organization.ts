import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { mayEnd } from './deadline.ts';
import { endConnection } from './request-disconnect.ts';

/** Organizations that may vanish without a word at once, before it is evidence about the main app's view: max(3, 2 %). */
const fewestVanished = 3;
const shareVanished = 0.02;

/**
 * Ends what belongs to organizations that were deleted, whether somebody said so or not. Rows that say so are
 * believed; rows that are merely missing only while they are few – an empty view must not disconnect everybody.
 * @returns how many connections were ended
 */
export async function endGoneOrganizations(db: Database, limit = 100): Promise<number> {
  // Counted over all of them, not over the page: of a view that lost everybody a page is always few.
  const { rows } = await sql<{ organizationId: string; missing: boolean; vanished: number; total: number }>`
    with live as (
      select c.organization_id, o.id is null as missing, o.deleted_at is not null as deleted
        from steward.org_connections c left join steward_app.organizations o on o.id = c.organization_id
       where c.state in ('pending', 'active', 'interrupted'))
    select organization_id as "organizationId", missing, (select count(*) from live where missing) as vanished,
           (select count(*) from live) as total
      from live where missing or deleted order by missing, organization_id limit ${limit}`.execute(db);
  const { vanished: missing, total } = rows[0] ?? { vanished: 0, total: 0 };
  const tooMany = missing > Math.max(fewestVanished, Math.floor(total * shareVanished));
  const gone = rows.filter((row) => !(row.missing && tooMany));
  for (const { organizationId } of gone) {
    await db.transaction().execute((trx) => endConnection(trx, { organizationId, cause: 'organization_deleted' }));
  }
  if (tooMany) await alertOnce(db, missing);
  return gone.length;
}

async function alertOnce(db: Database, missing: number): Promise<void> {
  const action = 'organizations.vanished';
  const { rows } =
    await sql`select from steward.audit_log where action = ${action} and at > steward.now() - interval '1 hour'`.execute(
      db,
    );
  if (rows.length > 0) return;
  await db.transaction().execute((trx) =>
    insertAudit(trx, {
      organizationId: null,
      actor: 'schedule',
      action,
      reason: 'too many organizations are missing at once; nothing was disconnected',
      data: { missing },
    }),
  );
}

/** Notices a plan that no longer includes Zoom, or does again, and tells the owners; of one organization, or of all. */
export async function noticePlans(trx: Transaction<DB>, organizationId: string | null = null): Promise<void> {
  const one = organizationId === null ? sql`` : sql`and c.organization_id = ${organizationId}`;
  const noticed = await sql<{ id: string; organizationId: string; ended: boolean }>`
    update steward.org_connections c
       set plan_ended_at = case when o.plan_includes_zoom then null else steward.now() end,
           plan_notice_event_seq = null, plan_deadline_at = null, plan_reminded_days = null
      from steward_app.organizations o
     where o.id = c.organization_id and c.state in ('active', 'interrupted') ${one}
       and o.plan_includes_zoom = (c.plan_ended_at is not null)
    returning c.id, c.organization_id as "organizationId", c.plan_ended_at is not null as ended`.execute(trx);
  for (const { id, organizationId: of, ended } of noticed.rows) {
    const type = ended ? 'connection.plan_ended' : 'connection.plan_resumed';
    const notice = await insertEvent(trx, { organizationId: of, type, subjectId: id });
    if (ended)
      await sql`update steward.org_connections set plan_notice_event_seq = ${notice} where id = ${id}`.execute(trx);
  }
}

/**
 * Notices plans that no longer include Zoom, tells the owners, and disconnects when the deadline is over – it starts with the
 * delivery of that notice, see `watchDeadlines` –; a plan that includes it again in time ends that.
 * @returns how many connections were ended
 */
export async function watchPlans(db: Database, limit = 100): Promise<number> {
  await db.transaction().execute((trx) => noticePlans(trx));
  const over = sql`
    steward.org_connections c join steward_app.organizations o on o.id = c.organization_id
     where c.state in ('active', 'interrupted') and c.plan_deadline_at <= steward.now() and not o.plan_includes_zoom and ${mayEnd}`;
  const { rows } = await sql<{ organizationId: string }>`
    select c.organization_id as "organizationId" from ${over} order by c.plan_deadline_at limit ${limit}`.execute(db);
  let ended = 0;
  for (const { organizationId } of rows) {
    await db.transaction().execute(async (trx) => {
      // Others of the list took their time: the plan, the clock or a switch may have changed since.
      const still = await sql`select from ${over} and c.organization_id = ${organizationId} for update of c`.execute(
        trx,
      );
      if (still.rows.length === 0) return;
      await endConnection(trx, { organizationId, cause: 'plan_ended' });
      ended += 1;
    });
  }
  return ended;
}
