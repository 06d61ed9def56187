import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { type Assumption, assumeFacts, getOrganizationFacts, type OrganizationFacts } from './organization-facts.ts';
import { compareBySets, compareWholeTables } from './planner.ts';

/** Members whom a plan looks at live in one statement. */
export const planPageSize = 20_000;
/** Who would have to look at more pages one by one looks at all: it would be as dear, and simpler. */
export const mostDoubtfulPages = 5;

/**
 * Whose stored facts may no longer be what the base tables say, and who shares an address with them: found set against set, with
 * everybody in between trusted. Null: everybody is to be looked at, as there are more of them than `most`, or a rollout is
 * assumed, of which the stored facts say nothing. The caller holds a snapshot.
 */
export async function findDoubtful(
  db: Database,
  {
    now,
    assumed,
    most = planPageSize * mostDoubtfulPages,
  }: { now: OrganizationFacts; assumed: OrganizationFacts; most?: number },
): Promise<readonly string[] | null> {
  if (now.rollout !== assumed.rollout || hasOtherRollout(now, assumed)) return null;
  const restore = await compareWholeTables(db);
  const found = await listDoubtful(db, now, most);
  await restore();
  return found;
}

/** The same of an organization as it is, or as somebody assumes it to be: for plans that have it asked once. */
export async function findDoubtfulOf(
  db: Database,
  organizationId: string,
  assume?: Assumption,
): Promise<readonly string[] | null> {
  const now = await getOrganizationFacts(db, organizationId);
  return findDoubtful(db, { now, assumed: assumeFacts(now, assume) });
}

/** Whether facts of more members than these are stored: by key, whatever the organization's size. */
export async function hasMoreFacts(db: Database, organizationId: string, than: number): Promise<boolean> {
  const { rows } = await sql`
    (select from steward.member_facts where organization_id = ${organizationId} order by member_id offset ${than}::integer limit 1)`.execute(
    db,
  );
  return rows.length > 0;
}

const hasOtherRollout = (a: OrganizationFacts, b: OrganizationFacts): boolean =>
  JSON.stringify([a.rolloutGroups, a.rolloutDomains]) !== JSON.stringify([b.rolloutGroups, b.rolloutDomains]);

async function listDoubtful(db: Database, facts: OrganizationFacts, most: number): Promise<readonly string[] | null> {
  const { organizationId, zoomAccountId, rollout, rolloutGroups, rolloutDomains } = facts;
  const restore = await compareBySets(db);
  const { rows } = await sql<{ id: string }>`
    select member_id as id
      from steward.doubtful_members(${organizationId}::uuid, ${zoomAccountId}::text, ${rollout}::text, ${rolloutGroups}::uuid[], ${rolloutDomains}::text[])
     limit ${most + 1}`.execute(db);
  await restore();
  if (rows.length === 0 || rows.length > most) return rows.length === 0 ? [] : null;
  const ids = rows.map(({ id }) => id);
  const { rows: peers } = await sql<{ id: string }>`
    select id from steward.doubtful_peers(${organizationId}, ${ids}::uuid[]) as id`.execute(db);
  return [...new Set([...ids, ...peers.map(({ id }) => id)])].sort();
}
