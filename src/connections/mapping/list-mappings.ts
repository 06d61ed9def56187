import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';

export type StoredMapping = {
  readonly memberId: string;
  readonly zoomUserId: string;
  /** person, or domain where it follows from an equivalence of domains */
  readonly origin: 'person' | 'domain';
  readonly actor: string;
  readonly createdAt: Date;
};

/** Mappings of an organization in the order of members' ids, after one of them; 1,000 at most. */
export async function listMappings(
  db: Database,
  organizationId: string,
  { after = null, limit = 1_000 }: { readonly after?: string | null; readonly limit?: number } = {},
): Promise<StoredMapping[]> {
  const { rows } = await sql<StoredMapping>`
    select member_id as "memberId", zoom_user_id as "zoomUserId", origin, actor, created_at as "createdAt"
      from steward.zoom_user_mappings
     where organization_id = ${organizationId} and (${after}::uuid is null or member_id > ${after}::uuid)
     order by member_id limit ${Math.min(limit, 1_000)}`.execute(db);
  return rows;
}
