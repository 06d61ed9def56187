import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns } from './table.ts';

/** column of steward.org_connections → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  plan_notice_event_seq: [
    'bigint',
    'Event that told of the end of the plan: the deadline starts when it was delivered.',
  ],
  plan_deadline_at: ['timestamptz', 'When the connection ends with the plan; null: no deadline runs.'],
  plan_reminded_days: ['smallint', 'Days before that deadline of the last reminder that is over; null: none is.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of addColumns('steward.org_connections', added)) await sql.raw(statement).execute(db);
  // Of plans that ended before: the deadline starts with the notice that was given.
  await sql`
    update steward.org_connections c
       set plan_notice_event_seq = (select max(e.seq) from steward.events e where e.type = 'connection.plan_ended' and e.subject_id = c.id)
     where c.plan_ended_at is not null`.execute(db);
  await sql`
    comment on column steward.org_connections.plan_ended_at is 'When the plan was first seen without Zoom; null while it includes Zoom.'`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added))
    await sql.raw(`alter table steward.org_connections drop column ${name}`).execute(db);
  await sql`
    comment on column steward.org_connections.plan_ended_at is
      'When the plan was first seen without Zoom; the same deadline runs from it. Null while it includes Zoom.'`.execute(
    db,
  );
}
