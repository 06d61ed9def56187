import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';

/** Zoom validates every 72 hours; an app that was heard before and is silent for longer than this is not reached. */
const silentAfterDays = 7;
const receiptHours = 24;
const prunedAtOnce = 10_000;

/** Notes, to the minute, that an app was heard. Whoever finds the row taken leaves it to the one who took it. */
export async function noteHeard(trx: Transaction<DB>, clientId: string, how: 'heard' | 'validated'): Promise<void> {
  const column = sql.ref(how === 'heard' ? 'heard_at' : 'validated_at');
  const known = await sql`select from steward.webhook_sources where client_id = ${clientId}`.execute(trx);
  if (known.rows.length === 0)
    await sql`insert into steward.webhook_sources (client_id, ${column}) values (${clientId}, steward.now())
              on conflict (client_id) do nothing`.execute(trx);
  await sql`
    update steward.webhook_sources set ${column} = steward.now(), silent_told_at = null
     where client_id = (select client_id from steward.webhook_sources
                         where client_id = ${clientId}
                           and (${column} is null or ${column} <= steward.now() - interval '1 minute' or silent_told_at is not null)
                           for update skip locked)`.execute(trx);
}

/** Tells operators once of each silence of an app that used to be heard. Returns how many were told of. */
export function tellSilentApps(db: Database): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ clientId: string; since: Date }>`
      update steward.webhook_sources set silent_told_at = steward.now()
       where silent_told_at is null
         and greatest(heard_at, validated_at) <= steward.now() - ${silentAfterDays} * interval '1 day'
      returning client_id as "clientId", greatest(heard_at, validated_at) as since`.execute(trx);
    for (const { clientId, since } of rows) {
      await insertAudit(trx, {
        organizationId: null,
        actor: 'schedule',
        action: 'webhooks.silent',
        reason: `no webhook and no validation for ${silentAfterDays} days`,
        data: { clientId, since },
      });
    }
    return rows.length;
  });
}

/** Forgets ids of webhooks after 24 hours, and hints whose time is long over. Returns how many rows went. */
export async function forgetWebhooks(db: Database): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    with receipts as (
      delete from steward.webhook_receipts where id in (
        select id from steward.webhook_receipts
         where received_at <= (select steward.now()) - ${receiptHours} * interval '1 hour' limit ${prunedAtOnce})
      returning 1),
    hints as (
      delete from steward.hints where subject in (
        select subject from steward.hints
         where look_at <= (select steward.now()) - ${receiptHours} * interval '1 hour'
           and coalesce(asked_at <= (select steward.now()) - ${receiptHours} * interval '1 hour', true) limit ${prunedAtOnce})
      returning 1)
    select ((select count(*) from receipts) + (select count(*) from hints))::int as n`.execute(db);
  return rows[0]?.n ?? 0;
}
