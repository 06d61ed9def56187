import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';

/** Owners are reminded so many days before a deadline ends. */
const reminderDays = [7, 3, 1] as const;

/** The reminder whose time has come with this much left; null: none yet. */
const reminderFor = (left: RawBuilder<unknown>) => sql<number | null>`case
  ${sql.join(
    [...reminderDays].reverse().map((days) => sql`when ${left} <= ${days} * interval '1 day' then ${days}::smallint`),
    sql` `,
  )} end`;

/** Value of reminded_days for a deadline that starts or moves: what it leaves no time for is over. */
export const remindersOver = (deadline: RawBuilder<unknown>) => reminderFor(sql`(${deadline} - steward.now())`);

export type DueReminder = { readonly connectionId: string; readonly organizationId: string; readonly daysLeft: number };

// A filter that asks for the time asks for every row; a sub-select, once.
const due = reminderFor(sql`(c.deadline_at - (select steward.now()))`);
const isDue = sql<boolean>`(c.state = 'interrupted' and c.deadline_at > (select steward.now()) and ${due} < coalesce(c.reminded_days, 1000)
  and not exists (select from steward.switches where name in ('observe_only', 'pause_all', 'pause_declaring')))`;

/** Interrupted connections whose owners are to be reminded now, the most urgent first. */
export async function listDueReminders(db: Database, limit = 20): Promise<DueReminder[]> {
  const { rows } = await sql<DueReminder>`
    select c.id as "connectionId", c.organization_id as "organizationId", ${due} as "daysLeft"
      from steward.org_connections c where ${isDue} order by c.deadline_at limit ${limit}`.execute(db);
  return rows;
}

/**
 * Reminds of a deadline, once for each reminder, with what its end would cost. Whoever comes second, or after it ended or
 * moved, tells nothing.
 * @returns whether it was told
 */
export function remindDeadline(
  db: Database,
  connectionId: string,
  costs: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ organizationId: string; daysLeft: number; deadlineAt: Date; reason: string | null }>`
      update steward.org_connections c set reminded_days = ${due} where c.id = ${connectionId} and ${isDue}
      returning c.organization_id as "organizationId", c.reminded_days as "daysLeft", c.deadline_at as "deadlineAt",
                c.interrupted_reason as reason`.execute(trx);
    const [told] = rows;
    if (!told) return false;
    const { organizationId, ...data } = told;
    await insertEvent(trx, {
      organizationId,
      type: 'connection.deadline_reminder',
      subjectId: connectionId,
      data: { ...data, ...costs },
    });
    return true;
  });
}
