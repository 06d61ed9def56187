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
  const { rows } = await sql<Found>`
    select zoom_users as "zoomUsers", members, matched from steward.found_in_directory(${organizationId}, ${zoomAccountId})`.execute(
    db,
  );
  return rows[0] as Found;
}
