import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { issuerStillMay } from './attempts.ts';
import { lockConnection } from './authority.ts';

/** The issuer hears of a link that brought nothing after this long, and again this long before it ends (behaviour §3.3). */
const remindAfterHours = 24;

/**
 * Open links that are due for a reminder: a day old and never reminded, or in their last day and not reminded in it.
 * Not while something that came through them is being looked at or waits for an owner: then somebody did come back.
 */
const due = (after: number) => sql`
  l.state = 'open' and l.expires_at > (select steward.now())
  and (l.reminded_at is null and l.created_at <= (select steward.now()) - ${after} * interval '1 hour'
    or l.expires_at <= (select steward.now()) + ${after} * interval '1 hour'
       and coalesce(l.reminded_at < l.expires_at - ${after} * interval '1 hour', true))
  and not exists (select from steward.candidates k where k.link_id = l.id
                   and k.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation'))`;

/**
 * Reminds whoever issued a link that it is still open (`connection.link_reminder`): Zoom does not send back whom it
 * refuses, so nothing else would tell. A link whose issuer may no longer ask passes to an owner first.
 * @returns how many were reminded
 */
export async function remindLinks(db: Database, limit = 100): Promise<number> {
  const { rows } = await sql<{ id: string; connectionId: string }>`
    select l.id, l.connection_id as "connectionId" from steward.connect_links l
     where ${due(remindAfterHours)} order by l.expires_at limit ${limit}`.execute(db);
  let reminded = 0;
  for (const link of rows) reminded += await db.transaction().execute((trx) => remind(trx, link));
  return reminded;
}

async function remind(
  trx: Transaction<DB>,
  { id, connectionId }: { readonly id: string; readonly connectionId: string },
): Promise<number> {
  await lockConnection(trx, connectionId);
  const { rows } = await sql<{
    id: string;
    connection_id: string;
    organization_id: string;
    issuer_member_id: string | null;
  }>`
    select l.id, l.connection_id, l.organization_id, l.issuer_member_id from steward.connect_links l
     where l.id = ${id} and ${due(remindAfterHours)} for update of l`.execute(trx);
  const [link] = rows;
  if (!link) return 0;
  // Passing it tells the owners, and ends it where none is left: either way there is news enough.
  const passed = !(await issuerStillMay(trx, link));
  const marked = await sql<{
    issuerMemberId: string | null;
    issuerOperator: string | null;
    expiresAt: Date;
    lastDay: boolean;
    progress: string;
  }>`
    update steward.connect_links l set reminded_at = steward.now() where l.id = ${id} and l.state = 'open'
    returning l.issuer_member_id as "issuerMemberId", l.issuer_operator as "issuerOperator", l.expires_at as "expiresAt",
      l.expires_at <= steward.now() + ${remindAfterHours} * interval '1 hour' as "lastDay",
      coalesce((select case when k.state = 'failed' then 'approval_failed' when k.id is not null then 'approval_ended'
                            when a.state in ('started', 'expired') then 'waiting_for_zoom_admin' else 'attempt_ended' end
                  from steward.connect_attempts a left join steward.candidates k on k.attempt_id = a.id
                 where a.link_id = l.id order by a.created_at desc, a.id desc limit 1), 'nobody_began') as progress`.execute(
    trx,
  );
  const [told] = marked.rows;
  if (!told || passed) return 0;
  const { lastDay, ...data } = told;
  await insertEvent(trx, {
    organizationId: link.organization_id,
    type: 'connection.link_reminder',
    subjectId: connectionId,
    data: { linkId: id, ...data, why: lastDay ? 'expires_soon' : 'still_open' },
  });
  return 1;
}
