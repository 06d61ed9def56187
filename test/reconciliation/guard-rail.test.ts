import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { defaultGuardRail, weighRun } from '../../src/reconciliation/guard-rail.ts';
import { desiredMembers, getOrganizationFacts } from '../../src/reconciliation/organization-facts.ts';
import { useDatabase } from '../support/database.ts';
import { fillOrganization } from './support/fill-organization.ts';
import { reconcileAll } from './support/play-runs.ts';

const database = useDatabase();

test('the guard rail weighs what the results would be written as, whatever takes Zoom', async () => {
  const { db } = database;
  const org = await fillOrganization(db, 40);
  await reconcileAll(db, org);
  // By number and not by id, which is random: every tenth has a Zoom of their own.
  const store = (what: string, places: string) =>
    sql`
      update steward.member_facts set ${sql.raw(what)}
       where organization_id = ${org.organizationId} and split_part(address_key, '@', 1)::integer in (${sql.raw(places)})`.execute(
      db,
    );
  await store('opted_out = true', '1, 2, 3, 4, 5, 6, 7');
  await store('in_rollout = false', '8, 9, 10');
  await store('active = false', '11, 12');
  await store("personal = 'broken'", '13, 14');
  await sql`
    delete from steward.member_facts where organization_id = ${org.organizationId} and split_part(address_key, '@', 1)::integer = 21`.execute(
    db,
  );
  const facts = await getOrganizationFacts(db, org.organizationId);
  const lost = new Set<number>();
  for (const state of ['active', 'interrupted', 'disconnecting', 'none'] as const)
    for (const allowOptOut of [false, true])
      for (const everDisconnected of [false, true]) {
        const under = { ...facts, state, allowOptOut, everDisconnected };
        const { rows } = await sql<{ served: number; lost: number }>`
          select count(*) as served,
                 count(*) filter (where coalesce(d.effective, 'none') = 'none' and d.reason is distinct from 'organization_disconnected') as lost
            from steward.member_connections s left join ${desiredMembers(under)} d on d.member_id = s.member_id
           where s.organization_id = ${org.organizationId} and s.effective <> 'none'`.execute(db);
        const weighed = await weighRun(db, under, defaultGuardRail);
        expect(weighed).toMatchObject(rows[0] as object);
        lost.add(weighed.lost);
      }
  expect(lost).toEqual(new Set([5, 12, 36]));
});

test('as many who come as leave are no reason to let those who leave pass', async () => {
  const { db } = database;
  const org = await fillOrganization(db, 40);
  await reconcileAll(db, org);
  const facts = await getOrganizationFacts(db, org.organizationId);
  expect(await weighRun(db, facts, defaultGuardRail)).toEqual({ served: 40, lost: 0, held: false });
  await sql`
    update steward.member_facts set member_id = gen_random_uuid()
     where organization_id = ${org.organizationId} and split_part(address_key, '@', 1)::integer <= 6`.execute(db);
  expect(await weighRun(db, facts, defaultGuardRail)).toEqual({ served: 40, lost: 6, held: true });
});
