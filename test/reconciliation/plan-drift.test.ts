import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { planOrganization } from '../../src/reconciliation/plan.ts';
import { useDatabase } from '../support/database.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import { reconcileAll } from './support/play-runs.ts';

/**
 * A plan trusts stored facts of whom nothing has changed. Here one thing changes without a word to anybody: it must be
 * found, and what is found must be what a plan that looks at everybody finds.
 */
const database = useDatabase();

type Change = (db: Database, org: FilledOrganization, member: string) => Promise<unknown>;
type Drift = {
  readonly what: string;
  /** before the run */
  readonly first?: Change;
  readonly change: Change;
  /** rows that change; 1 if not given */
  readonly rows?: number;
};

const address = (org: FilledOrganization, number: number) => `${number}@${org.account}.test`;
const memberSet =
  (set: (org: FilledOrganization) => ReturnType<typeof sql>): Change =>
  (db, org, member) =>
    sql`update steward_app.members set ${set(org)} where id = ${member}`.execute(db);
const userSet =
  (set: ReturnType<typeof sql>): Change =>
  (db, org) =>
    sql`update steward.directory_users set ${set} where user_key = ${`${org.account}:1`}`.execute(db);
const managed =
  (state: string): Change =>
  (db, org, member) =>
    sql`insert into steward.personal_connections (id, organization_id, member_id, state) values (gen_random_uuid(), ${org.organizationId}, ${member}, ${state})
        on conflict (organization_id, member_id) do update set state = excluded.state`.execute(db);
const noUser: Change = (db, org) =>
  sql`delete from steward.directory_users where user_key = ${`${org.account}:1`}`.execute(db);
/** The Zoom user was invited and has not come yet: no id, and nobody holds it. */
const invited: Change = userSet(sql`zoom_user_id = null, status = 'pending'`);
const settings = (org: FilledOrganization, db: Database) =>
  sql`insert into steward.organization_settings (organization_id, allow_opt_out) values (${org.organizationId}, true)`.execute(
    db,
  );

const drifts: readonly Drift[] = [
  { what: 'a member is deactivated', change: memberSet(() => sql`active = false`) },
  {
    what: 'a member leaves',
    change: (db, _, member) => sql`delete from steward_app.members where id = ${member}`.execute(db),
  },
  { what: 'an address is no longer verified', change: memberSet(() => sql`email_verified = false`), rows: 0 },
  { what: 'an address nobody has', change: memberSet(() => sql`email = 'else@where.test'`), rows: 0 },
  {
    what: 'the same address, written otherwise',
    change: memberSet((org) => sql`email = ${` 1@${org.account.toUpperCase()}.test `}`),
    rows: 0,
  },
  { what: 'the address of another member', change: memberSet((org) => sql`email = ${address(org, 2)}`), rows: 1 },
  {
    what: 'two members whose address was one part',
    first: memberSet((org) => sql`email = ${address(org, 2)}`),
    change: memberSet((org) => sql`email = ${address(org, 1)}`),
    rows: 2,
  },
  { what: 'a Zoom user is deactivated', change: userSet(sql`status = 'inactive'`) },
  { what: 'a Zoom user loses the licence', change: userSet(sql`user_type = 4`) },
  { what: 'a Zoom user is gone', change: noUser },
  {
    what: 'a Zoom user has another address, and stays theirs',
    change: userSet(sql`address_key = 'else@where.test'`),
    rows: 0,
  },
  {
    what: 'a Zoom user comes',
    first: noUser,
    change: (db, org) =>
      sql`insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
          values (${org.account}, ${`${org.account}:1`}, ${`${org.account}:1`}, ${address(org, 1)}, 'active', 2, steward.now())`.execute(
        db,
      ),
  },
  {
    what: 'an invited Zoom user comes',
    first: invited,
    change: userSet(sql`user_key = 'came', zoom_user_id = 'came', status = 'active'`),
  },
  { what: 'an invitation is taken back', first: invited, change: noUser },
  {
    what: 'another member with the address of an invited Zoom user',
    first: invited,
    change: async (db, org) =>
      sql`update steward_app.members set email = ${address(org, 1)} where id = ${await memberOf(db, org, 2)}`.execute(
        db,
      ),
  },
  {
    what: 'another Zoom user with the address of an invited one',
    first: invited,
    change: (db, org) =>
      sql`insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
          values (${org.account}, 'twice', 'twice', ${address(org, 1)}, 'active', 2, steward.now())`.execute(db),
  },
  {
    what: 'a mapped member with the address, looked at while the pass was behind the other already',
    first: async (db, org) =>
      sql`insert into steward.zoom_user_mappings (organization_id, member_id, zoom_account_id, zoom_user_id, actor) values (${org.organizationId}, ${await memberOf(db, org, 2)}, ${org.account}, ${`${org.account}:3`}, 'operator:x')`.execute(
        db,
      ),
    change: async (db, org) => {
      const other = await memberOf(db, org, 2);
      await sql`update steward_app.members set email = ${address(org, 1)} where id = ${other}`.execute(db);
      await sql`update steward.member_facts set address_key = ${address(org, 1)} where member_id = ${other}`.execute(
        db,
      );
    },
  },
  {
    what: 'nobody was found, after a walk that saw nobody',
    first: async (db, org, member) => {
      await noUser(db, org, member);
      await sql`update steward.directories set synced_at = null where zoom_account_id = ${org.account}`.execute(db);
    },
    change: (db, org) =>
      sql`update steward.directories set synced_at = steward.now() where zoom_account_id = ${org.account}`.execute(db),
    // The second has no Zoom user from the beginning.
    rows: 3,
  },
  {
    what: 'nobody was found, looked up singly',
    first: async (db, org, member) => {
      await noUser(db, org, member);
      await sql`update steward.directories set synced_at = null where zoom_account_id = ${org.account}`.execute(db);
    },
    change: (db, org) =>
      sql`insert into steward.directory_lookups (zoom_account_id, address_key, looked_up_at) values (${org.account}, ${address(org, 1)}, steward.now())`.execute(
        db,
      ),
  },
  {
    what: 'a personal Zoom of the main app',
    change: (db, org, member) =>
      sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${member}, ${org.organizationId}, 'connected')`.execute(
        db,
      ),
  },
  { what: 'a managed personal Zoom', change: managed('active') },
  {
    what: 'the grant of a managed personal Zoom dies',
    first: async (db, org, member) => {
      await managed('active')(db, org, member);
      await sql`insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, consented_at)
                values (${member}, 'personal', 'c', 'own', ${member}, 'living', 'x', 'x', now())`.execute(db);
      await sql`update steward.personal_connections set grant_id = ${member} where member_id = ${member}`.execute(db);
    },
    change: (db, _, member) =>
      sql`update steward.grants set state = 'dead', dead_reason = 'revoked' where id = ${member}`.execute(db),
  },
  {
    what: 'opting out',
    first: (db, org) => settings(org, db),
    change: (db, org, member) =>
      sql`insert into steward.opt_outs (organization_id, member_id) values (${org.organizationId}, ${member})`.execute(
        db,
      ),
  },
  {
    what: 'a mapping to another Zoom user',
    change: (db, org, member) =>
      sql`insert into steward.zoom_user_mappings (organization_id, member_id, zoom_account_id, zoom_user_id, actor) values (${org.organizationId}, ${member}, ${org.account}, ${`${org.account}:3`}, 'operator:x')`.execute(
        db,
      ),
  },
  {
    what: 'somebody leaves the group that is served',
    first: async (db, org, member) => {
      await sql`insert into steward.organization_settings (organization_id, rollout, rollout_groups) values (${org.organizationId}, 'groups', array[${org.connectionId}::uuid])`.execute(
        db,
      );
      await sql`insert into steward_app.group_members (group_id, member_id, organization_id) values (${org.connectionId}, ${member}, ${org.organizationId})`.execute(
        db,
      );
    },
    change: (db, _, member) => sql`delete from steward_app.group_members where member_id = ${member}`.execute(db),
  },
  {
    what: 'an address in a domain that is not served',
    first: (db, org) =>
      sql`insert into steward.organization_settings (organization_id, rollout, rollout_domains) values (${org.organizationId}, 'domains', array[${`${org.account}.test`}])`.execute(
        db,
      ),
    change: memberSet(() => sql`email = 'else@where.test'`),
  },
  {
    what: 'a stored result is damaged',
    change: (db, _, member) =>
      sql`update steward.member_connections set hosting = 'interrupted' where member_id = ${member}`.execute(db),
  },
  {
    what: 'a stored result is lost',
    change: (db, _, member) => sql`delete from steward.member_connections where member_id = ${member}`.execute(db),
  },
  {
    what: 'stored facts are lost',
    change: (db, _, member) => sql`delete from steward.member_facts where member_id = ${member}`.execute(db),
    rows: 0,
  },
  {
    what: 'stored facts are damaged',
    change: (db, _, member) =>
      sql`update steward.member_facts set match = 'none', zoom_user_key = null, zoom_status = null, zoom_type = null where member_id = ${member}`.execute(
        db,
      ),
    rows: 0,
  },
];

test.each(drifts)(
  '$what: found, and as a plan that looks at everybody finds it',
  async ({ first, change, rows = 1 }) => {
    const org = await fillOrganization(database.db, 20);
    const member = await memberOf(database.db, org, 1);
    await first?.(database.db, org, member);
    await reconcileAll(database.db, org);
    expect((await planOrganization(database.db, org.organizationId)).members.summary.changes).toBe(0);
    await change(database.db, org, member);
    const plan = await planOrganization(database.db, org.organizationId);
    expect(plan).toEqual(await planOrganization(database.db, org.organizationId, { trustNothing: true }));
    expect(plan.members.summary.changes).toBe(rows);
  },
);

test('who is invited, and whom nothing has happened to, is not looked at', async () => {
  const org = await fillOrganization(database.db, 20);
  await invited(database.db, org, await memberOf(database.db, org, 1));
  await reconcileAll(database.db, org);
  const { rows } = await sql`
    select member_id from steward.doubtful_members(${org.organizationId}, ${org.account}, 'all', '{}', '{}')`.execute(
    database.db,
  );
  expect(rows).toEqual([]);
});
