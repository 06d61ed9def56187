import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { compareBySets } from '../../src/reconciliation/planner.ts';
import { useDatabase } from '../support/database.ts';
import { fillOrganization } from './support/fill-organization.ts';
import { reconcileAll } from './support/play-runs.ts';

const database = useDatabase();

type Node = { readonly 'Rows Removed by Join Filter'?: number; readonly Plans?: readonly Node[] };

/** Pairs of rows that a plan compared in vain, everywhere in it. */
const comparedInVain = (node: Node): number =>
  (node['Rows Removed by Join Filter'] ?? 0) + (node.Plans ?? []).reduce((sum, part) => sum + comparedInVain(part), 0);

test('members who are mapped and share one address are not compared with each other', async () => {
  const members = 300;
  const org = await fillOrganization(database.db, members);
  const { organizationId } = org;
  await reconcileAll(database.db, org);
  await sql`update steward.member_facts set match = 'mapping', address_key = 'front-desk@example.org', zoom_user_key = 'desk',
                   zoom_status = 'active', zoom_type = 2 where organization_id = ${organizationId}`.execute(
    database.db,
  );
  const plan = await database.db.transaction().execute(async (trx) => {
    await compareBySets(trx);
    const { rows } = await sql<{ 'QUERY PLAN': readonly { readonly Plan: Node }[] }>`
      explain (analyze, timing off, format json)
      select member_id from steward.doubtful_members(${sql.lit(organizationId)}::uuid, null, 'all', '{}'::uuid[], '{}'::text[])`.execute(
      trx,
    );
    return rows[0]?.['QUERY PLAN'][0]?.Plan as Node;
  });
  expect(comparedInVain(plan)).toBeLessThan(members * 10);

  // Whoever shares it with them does not know, and is named for it once, not as often as there are of them.
  await sql`update steward.member_facts set match = 'email' where member_id = (
              select min(member_id::text)::uuid from steward.member_facts where organization_id = ${organizationId})`.execute(
    database.db,
  );
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from steward.doubtful_members(${organizationId}::uuid, null, 'all', '{}'::uuid[], '{}'::text[])`.execute(
    database.db,
  );
  expect(rows[0]?.n).toBe(members + 1);
});
