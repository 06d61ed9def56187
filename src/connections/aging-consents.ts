import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';

/** Zoom's text: a refresh token lives 90 days. Whether the consent does, nobody could confirm (lifecycle §3). */
const lifetimeDays = 90;
const tellAtDays = 76;
/** A refresh that worked so long after its consent shows that the consent lives on; two days for any clock. */
const provenAtDays = 92;
const provenKey = 'grants.live_past_90_days';

/**
 * Whether one of our grants was seen to live past 90 days: refreshed by Zoom more than 92 days after its consent. Known
 * once, it is known for good: a new consent, or the grant's end, takes the evidence away and not the fact.
 */
async function livesPastLifetime(db: Database): Promise<boolean> {
  const { rows: known } = await sql`select from steward.installation where key = ${provenKey}`.execute(db);
  if (known.length > 0) return true;
  const { rows } = await sql<{ id: string; days: number }>`
    select id, floor(extract(epoch from refreshed_at - consented_at) / 86400)::int as days from steward.grants
     where consented_at <= steward.now() - ${provenAtDays} * interval '1 day'
       and refreshed_at > consented_at + ${provenAtDays} * interval '1 day' limit 1`.execute(db);
  const [seen] = rows;
  if (!seen) return false;
  await db.transaction().execute(async (trx) => {
    const { numAffectedRows } = await sql`
      insert into steward.installation (key, value, updated_at) values (${provenKey}, ${JSON.stringify(seen)}::jsonb, steward.now())
      on conflict (key) do nothing`.execute(trx);
    if (numAffectedRows === 1n)
      await insertAudit(trx, {
        organizationId: null,
        actor: 'schedule',
        action: 'grants.live_past_90_days',
        subjectId: seen.id,
        data: { days: seen.days },
      });
  });
  return true;
}

/**
 * Tells owners whose Zoom admin consented 76 days ago to have it done again (`connection.consent_aging`), once for each
 * consent, until one of our own grants has been seen to live past 90 days. A new consent starts again.
 * @returns how many grants were told of
 */
export async function tellAgingConsents(db: Database, limit = 100): Promise<number> {
  if (await livesPastLifetime(db)) return 0;
  const { rows } = await sql<{ id: string }>`
    select g.id from steward.grants g
     where g.consented_at <= steward.now() - ${tellAtDays} * interval '1 day' and g.age_told_at is null
       and g.state in ('living', 'suspect')
       and exists (select from steward.org_connections c where c.grant_id = g.id and c.state in ('active', 'interrupted'))
     order by g.consented_at limit ${limit}`.execute(db);
  let told = 0;
  for (const { id } of rows) told += await db.transaction().execute((trx) => tell(trx, id));
  return told;
}

async function tell(trx: Transaction<DB>, grantId: string): Promise<number> {
  const { rows } = await sql<{ consentedAt: Date; endsAbout: Date; approver: string | null }>`
    update steward.grants set age_told_at = steward.now()
     where id = ${grantId} and age_told_at is null and state in ('living', 'suspect')
       and consented_at <= steward.now() - ${tellAtDays} * interval '1 day'
    returning consented_at as "consentedAt", consented_at + ${lifetimeDays} * interval '1 day' as "endsAbout",
              zoom_user_email as approver`.execute(trx);
  const [aging] = rows;
  if (!aging) return 0;
  const { rows: connections } = await sql<{ id: string; organizationId: string }>`
    select id, organization_id as "organizationId" from steward.org_connections
     where grant_id = ${grantId} and state in ('active', 'interrupted') order by id`.execute(trx);
  for (const { id, organizationId } of connections)
    await insertEvent(trx, { organizationId, type: 'connection.consent_aging', subjectId: id, data: aging });
  return 1;
}
