import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { applyTransition } from './apply-transition.ts';
import { type Asker, actorOf, assertMayManage, lockConnection } from './authority.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { passFleetGuard } from './fleet-guard.ts';
import { healed } from './record-verification.ts';
import { forgetRefusedMeetings } from './refused-meetings.ts';
import { remindersOver } from './remind-deadline.ts';
import { endAtDeadline } from './request-disconnect.ts';
import type { Verified } from './verified.ts';
import { verifyConnection } from './verify-connection.ts';
import { findWatched, isOldNews, lookAtConnection } from './watched-connection.ts';

/** Without a tick for this long our own workers were down, and deadlines move by that time. */
const downAfterMinutes = 15;
const watchedKey = 'deadlines.watched_at';

/** Working hours of the organization's time zone; UTC where the organization is gone. */
const inWorkingHours = (
  at: ReturnType<typeof sql>,
  connection = 'c',
) => sql<Date>`steward.working_time_from(${at}, coalesce(
  (select o.time_zone from steward_app.organizations o where o.id = ${sql.ref(`${connection}.organization_id`)}), 'UTC'))`;

const isWorkingHour = sql<boolean>`${inWorkingHours(sql`steward.now()`)} = steward.now()`;

/**
 * What must hold for a deadline of `c` to end now, beside being over: somebody is there to see it, no switch holds the clocks,
 * and the clock was watched – after an outage of ours, a job that waited for us must not come before the watch.
 */
export const mayEnd = sql<boolean>`(
  ${isWorkingHour}
  and not exists (select from steward.switches where name in ('observe_only', 'pause_all', 'pause_declaring'))
  and exists (select from steward.installation where key = ${watchedKey}
               and clock_timestamp() - (value #>> '{}')::timestamptz <= ${downAfterMinutes} * interval '1 minute'))`;

const hasEnded = sql<boolean>`(c.state = 'interrupted' and c.deadline_at <= steward.now() and ${mayEnd})`;

/** reconnect_days of the organization: 14 without a row; null means never. */
const reconnectDays = sql`(select case when s.organization_id is null then 14 else s.reconnect_days end
  from (select c.organization_id as id) o left join steward.organization_settings s on s.organization_id = o.id)`;

/**
 * Starts the deadlines of interruptions and of ended plans whose notice has been delivered, and moves all of them by the time in which nobody watched: while our workers were down, or a switch held every clock. That time
 * is measured by the database's own clock, not by steward.now(): jumping in time is no outage. Where reconnect_days says
 * never meanwhile, a running deadline is no more.
 * @returns how many deadlines were started
 */
export async function watchDeadlines(db: Database): Promise<number> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('steward.deadlines', 0))`.execute(trx);
    const held =
      await sql`select from steward.switches where name in ('observe_only', 'pause_all', 'pause_declaring')`.execute(
        trx,
      );
    if (held.rows.length > 0) return 0;
    await sql`
      with gap as (
        select clock_timestamp() - (value #>> '{}')::timestamptz as missed from steward.installation where key = ${watchedKey})
      update steward.org_connections c
         set deadline_at = ${inWorkingHours(sql`c.deadline_at + gap.missed`)},
             plan_deadline_at = ${inWorkingHours(sql`c.plan_deadline_at + gap.missed`)}
        from gap where gap.missed > ${downAfterMinutes} * interval '1 minute'
         and (c.state = 'interrupted' and c.deadline_at is not null or c.plan_deadline_at is not null)`.execute(trx);
    await sql`
      update steward.org_connections c set deadline_at = null
       where c.state = 'interrupted' and c.deadline_at is not null and ${reconnectDays} is null`.execute(trx);
    await sql`
      update steward.org_connections c set plan_deadline_at = null
       where c.plan_deadline_at is not null and ${reconnectDays} is null`.execute(trx);
    await sql`
      insert into steward.installation (key, value) values (${watchedKey}, to_jsonb(clock_timestamp()))
      on conflict (key) do update set value = excluded.value, updated_at = now()`.execute(trx);
    const started = await sql`
      with started as (
        update steward.org_connections c set deadline_at = ends.at, reminded_days = ${remindersOver(sql`ends.at`)}
          from (select c.id, ${inWorkingHours(sql`e.delivered_at + ${reconnectDays} * interval '1 day'`)} as at
                  from steward.org_connections c join steward.events e on e.seq = c.notice_event_seq
                 where e.delivered_at is not null and c.state = 'interrupted' and c.deadline_at is null
                   and ${reconnectDays} is not null) ends
         where c.id = ends.id and c.state = 'interrupted' and c.deadline_at is null
        returning c.id, c.organization_id, c.deadline_at, c.interrupted_reason)
      insert into steward.events (organization_id, type, subject_id, data, created_at)
      select organization_id, 'connection.deadline_started', id,
             jsonb_build_object('deadlineAt', deadline_at, 'reason', interrupted_reason), steward.now() from started`.execute(
      trx,
    );
    return Number(started.numAffectedRows ?? 0n) + (await startPlanDeadlines(trx));
  });
}

/** The same for plans that no longer include Zoom. A notice that is kept no more was delivered long ago. */
async function startPlanDeadlines(trx: Transaction<DB>): Promise<number> {
  const started = await sql`
    with started as (
      update steward.org_connections c set plan_deadline_at = ends.at, plan_reminded_days = ${remindersOver(sql`ends.at`)}
        from (select c.id, ${inWorkingHours(sql`coalesce(e.delivered_at, c.plan_ended_at) + ${reconnectDays} * interval '1 day'`)} as at
                from steward.org_connections c left join steward.events e on e.seq = c.plan_notice_event_seq
               where c.plan_ended_at is not null and c.plan_deadline_at is null and c.state in ('active', 'interrupted')
                 and (e.seq is null or e.delivered_at is not null) and ${reconnectDays} is not null) ends
       where c.id = ends.id and c.plan_ended_at is not null and c.plan_deadline_at is null
      returning c.id, c.organization_id, c.plan_deadline_at)
    insert into steward.events (organization_id, type, subject_id, data, created_at)
    select organization_id, 'connection.plan_deadline_started', id, jsonb_build_object('deadlineAt', plan_deadline_at), steward.now() from started`.execute(
    trx,
  );
  return Number(started.numAffectedRows ?? 0n);
}

/** Lets the deadline of an interrupted connection end this many days later, in working hours. Returns the new end. */
export async function extendDeadline(
  trx: Transaction<DB>,
  { connectionId, days, asker }: { readonly connectionId: string; readonly days: number; readonly asker: Asker },
): Promise<Date> {
  const connection = await lockConnection(trx, connectionId);
  await assertMayManage(trx, connection.organization_id, asker);
  if (!Number.isInteger(days) || days < 1 || days > 60) {
    throw new StewardError('days_out_of_range', `Expected 1 to 60 days, got ${days}; say how many whole days.`);
  }
  const { rows } = await sql<{ deadline_at: Date }>`
    update steward.org_connections c
       set deadline_at = ends.at, reminded_days = ${remindersOver(sql`ends.at`)}
      from (select c.id, ${inWorkingHours(sql`c.deadline_at + ${days} * interval '1 day'`)} as at from steward.org_connections c) ends
     where c.id = ends.id and c.id = ${connectionId} and c.state = 'interrupted' and c.deadline_at is not null
    returning c.deadline_at`.execute(trx);
  if (!rows[0])
    throw new StewardError(
      'no_deadline',
      'Expected a connection whose deadline runs, this one has none; nothing was done.',
    );
  await insertAudit(trx, {
    organizationId: connection.organization_id,
    actor: actorOf(asker),
    action: 'connection.deadline_extended',
    subjectId: connectionId,
    data: { days, deadlineAt: rows[0].deadline_at },
    ...('operator' in asker ? { reason: asker.reason } : {}),
  });
  return rows[0].deadline_at;
}

/** Interrupted connections whose deadline is over and may run out now, oldest first. */
export async function listEndedDeadlines(db: Database, limit = 100): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select c.id from steward.org_connections c where ${hasEnded} order by c.deadline_at limit ${limit}`.execute(db);
  return rows.map((row) => row.id);
}

/** What waits at its end looks again after this long, or when the working day begins. */
const waitMinutes = 10;
const waitsOn = {
  deadline_at: inWorkingHours(sql`steward.now() + ${waitMinutes} * interval '1 minute'`, 'org_connections'),
};

/**
 * The last look when a deadline has ended (behaviour §7): passed resumes, inconclusive waits – as do calls that work
 * while something expected is missing, and whom the fleet guard holds –, only failed starts the cascade.
 */
export async function lookAtDeadline(
  deps: ConnectionDeps,
  connectionId: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Verified | { readonly outcome: 'disconnecting'; readonly runId: string | null }> {
  const watched = await findWatched(deps, connectionId);
  if (watched?.state !== 'interrupted') return { outcome: 'not_applicable' };
  const { verdict } = await lookAtConnection(deps, watched, options);
  return deps.db.transaction().execute(async (trx) => {
    // Asked by those who would be lost only: the guard counts whoever asks as failing.
    const lost = verdict.result === 'failed' && verdict.evidence !== 'lists';
    const guard = lost ? await passFleetGuard(trx, connectionId) : null;
    const row = await lockConnection(trx, connectionId);
    const due = await sql`select from steward.org_connections c where c.id = ${connectionId} and ${hasEnded}`.execute(
      trx,
    );
    const moved =
      row.generation !== watched.generation ||
      row.grant_id !== watched.grantId ||
      (verdict.result === 'failed' && (await isOldNews(trx, watched, verdict)));
    if (moved || due.rows.length === 0) return { outcome: 'not_applicable' };
    const common = { connectionId, actor: 'schedule', seen: { generation: watched.generation } } as const;
    if (verdict.result === 'passed') {
      await applyTransition(trx, { ...common, event: 'deadline_passed', set: healed, cause: 'resumed' });
      await forgetRefusedMeetings(trx, watched);
      return { outcome: 'passed', resumed: true };
    }
    if (verdict.result === 'inconclusive' || verdict.evidence === 'lists') {
      const reason = verdict.result === 'inconclusive' ? verdict.reason : verdict.missing.join('; ');
      await applyTransition(trx, { ...common, event: 'deadline_inconclusive', reason, set: waitsOn });
      return { outcome: 'inconclusive', reason };
    }
    if (guard && !guard.open) {
      await applyTransition(trx, { ...common, event: 'guard_closed', reason: guard.why, set: waitsOn });
      return { outcome: 'held', why: guard.why };
    }
    const ended = await endAtDeadline(trx, {
      connectionId,
      generation: watched.generation,
      reason: verdict.missing.join('; '),
    });
    return { outcome: 'disconnecting', runId: ended.runId };
  });
}

/**
 * The look that is due: the last one of an interrupted connection whose deadline has ended, else a verification.
 * What jobs call.
 */
export async function lookAtDue(
  deps: ConnectionDeps,
  connectionId: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Awaited<ReturnType<typeof lookAtDeadline>>> {
  const ended = await sql`select from steward.org_connections c where c.id = ${connectionId} and ${hasEnded}`.execute(
    deps.db,
  );
  return ended.rows.length > 0
    ? lookAtDeadline(deps, connectionId, options)
    : verifyConnection(deps, connectionId, options);
}
