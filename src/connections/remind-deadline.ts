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

/** What ends with a deadline of a connection: an interruption that nobody mended, or a plan without Zoom. */
export type DeadlineOf = 'interruption' | 'plan';

type Clock = {
  readonly deadline: RawBuilder<unknown>;
  readonly reminded: RawBuilder<unknown>;
  /** whether this deadline can run, beside having an end */
  readonly runs: RawBuilder<boolean>;
  readonly reason: RawBuilder<string | null>;
  readonly tells: string;
};

const clocks: Readonly<Record<DeadlineOf, Clock>> = {
  interruption: {
    deadline: sql.ref('deadline_at'),
    reminded: sql.ref('reminded_days'),
    runs: sql<boolean>`c.state = 'interrupted'`,
    reason: sql`c.interrupted_reason`,
    tells: 'connection.deadline_reminder',
  },
  plan: {
    deadline: sql.ref('plan_deadline_at'),
    reminded: sql.ref('plan_reminded_days'),
    runs: sql<boolean>`c.state in ('active', 'interrupted')`,
    reason: sql`'plan_ended'`,
    tells: 'connection.plan_reminder',
  },
};

export type DueReminder = {
  readonly connectionId: string;
  readonly organizationId: string;
  readonly daysLeft: number;
  readonly of: DeadlineOf;
};

// A filter that asks for the time asks for every row; a sub-select, once.
const due = ({ deadline }: Clock) => reminderFor(sql`(c.${deadline} - (select steward.now()))`);
const isDue = (clock: Clock) => sql<boolean>`(
  ${clock.runs} and c.${clock.deadline} > (select steward.now()) and ${due(clock)} < coalesce(c.${clock.reminded}, 1000)
  and not exists (select from steward.switches where name in ('observe_only', 'pause_all', 'pause_declaring')))`;

/** Connections whose owners are to be reminded of a deadline now, the most urgent first. */
export async function listDueReminders(db: Database, limit = 20): Promise<DueReminder[]> {
  const of = (name: DeadlineOf) => sql`
    select c.id as "connectionId", c.organization_id as "organizationId", ${due(clocks[name])} as "daysLeft", ${name}::text as of,
           c.${clocks[name].deadline} as ends
      from steward.org_connections c where ${isDue(clocks[name])}`;
  const { rows } = await sql<DueReminder>`
    select "connectionId", "organizationId", "daysLeft", of
      from (${of('interruption')} union all ${of('plan')}) found order by ends limit ${limit}`.execute(db);
  return rows;
}

/**
 * Reminds of a deadline, once for each reminder, with what its end would cost. Whoever comes second, or after it ended or
 * moved, tells nothing.
 * @returns whether it was told
 */
export function remindDeadline(
  db: Database,
  { connectionId, of }: Pick<DueReminder, 'connectionId' | 'of'>,
  costs: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const clock = clocks[of];
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ organizationId: string; daysLeft: number; deadlineAt: Date; reason: string | null }>`
      update steward.org_connections c set ${clock.reminded} = ${due(clock)} where c.id = ${connectionId} and ${isDue(clock)}
      returning c.organization_id as "organizationId", c.${clock.reminded} as "daysLeft", c.${clock.deadline} as "deadlineAt",
                ${clock.reason} as reason`.execute(trx);
    const [told] = rows;
    if (!told) return false;
    const { organizationId, ...data } = told;
    await insertEvent(trx, { organizationId, type: clock.tells, subjectId: connectionId, data: { ...data, ...costs } });
    return true;
  });
}
