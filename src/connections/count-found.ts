import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';

/** "118 users; 9 of your 12 people found there." */
export type Found = { readonly zoomUsers: number; readonly members: number; readonly matched: number };

/**
 * Counts how many active members of an organization are users of a Zoom account, by verified address and in one
 * statement, against the stored copy of the account's directory. Addresses that two members or two Zoom users share
 * find nobody.
 */
export async function countFound(
  db: Database | Transaction<DB>,
  { organizationId, zoomAccountId }: { readonly organizationId: string; readonly zoomAccountId: string },
): Promise<Found> {
  // Both sides are put into one heap and counted by key: a join of two relations whose sizes the planner can only
  // guess became a nested loop, 80 million comparisons for ten thousand members.
  const { rows } = await sql<Found>`
    select coalesce(sum(users), 0)::bigint as "zoomUsers", coalesce(sum(members), 0)::bigint as members,
           count(*) filter (where key is not null and members = 1 and users = 1) as matched
      from (select key, count(*) filter (where is_member) as members, count(*) filter (where not is_member) as users
              from (select case when email_verified then steward.address_key(email) end as key, true as is_member
                      from steward_app.members where organization_id = ${organizationId} and active
                    union all
                    select address_key, false from steward.directory_users where zoom_account_id = ${zoomAccountId}) heap
             group by key) keys`.execute(db);
  return rows[0] as Found;
}
