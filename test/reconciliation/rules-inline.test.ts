import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';

const database = useDatabase({ max: 1 });

/** A function that stays a call in the plan costs microseconds a row, and hides its filters from the planner. */
async function planOf(statement: string): Promise<string> {
  const { rows } = await sql<{ 'QUERY PLAN': string }>`explain (verbose, costs off) ${sql.raw(statement)}`.execute(
    database.db,
  );
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

const org = `'00000000-0000-4000-8000-000000000001'::uuid`;
const ids = `array['00000000-0000-4000-8000-000000000002'::uuid]`;

test.each([
  [
    'the results of a range',
    `select * from steward.desired_members_under(${org}, null, null, 'active', false, true, 'host', 2::smallint)`,
  ],
  [
    'the results of an organization under other facts, and as it is',
    `select * from steward.desired_members_beside(${org}, 'disconnecting', true, true, 'host', 2::smallint, 'active', false, true, true)`,
  ],
  ['the stored reasons', `select * from steward.stored_reasons_under(${org}, 'active', false, true)`],
  ['the results of an organization', `select * from steward.desired_members(${org})`],
  ['live facts', `select * from steward.live_facts(${org}, ${ids})`],
  [
    'live facts of a range',
    `select * from steward.live_facts_between(${org}, ${org}, ${org}, 'acc', 'groups', '{}', '{}')`,
  ],
  [
    'live results',
    `select * from steward.live_members_under(${org}, ${ids}, 'active', false, 'acc', true, 'groups', '{}', '{}', 'host', 2::smallint)`,
  ],
  ['an organization’s facts', `select * from steward.organization_facts(${org})`],
])('%s: every rule is part of the plan, none is a call', async (_, statement) => {
  const calls = (await planOf(statement)).match(
    /steward\.(rule_|live_|desired_|stored_|organization_facts|address_key\()\w*/g,
  );
  expect(calls ?? []).toEqual([]);
});

test('a rule that is not inlined shows in such a plan', async () => {
  await database.db.transaction().execute(async (trx) => {
    await sql`create function pg_temp.rule_opaque(x boolean) returns boolean language plpgsql immutable as $$ begin return x; end $$`.execute(
      trx,
    );
    const { rows } = await sql<{
      'QUERY PLAN': string;
    }>`explain (verbose, costs off) select pg_temp.rule_opaque(active) from steward.member_facts`.execute(trx);
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('rule_opaque(');
  });
});
