import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { resolveMember } from '../../src/reconciliation/resolve-member.ts';
import { useDatabase } from '../support/database.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import { reconcileAll, rowVersions } from './support/play-runs.ts';

const database = useDatabase();
let organization: FilledOrganization;

beforeAll(async () => {
  organization = await fillOrganization(database.db, 20);
});

const fresh = (members = 10) => fillOrganization(database.db, members);

async function storedFacts({ organizationId }: FilledOrganization, memberId: string) {
  const { rows } = await sql<Record<string, unknown>>`
    select match, zoom_user_key, personal, active, in_rollout, opted_out, address_key, address_since from steward.member_facts
     where organization_id = ${organizationId} and member_id = ${memberId}`.execute(database.db);
  return rows[0];
}

const setEmail = (memberId: string, email: string) =>
  sql`update steward_app.members set email = ${email}, updated_at = now() where id = ${memberId}`.execute(database.db);

const look = (memberId: string) => reconcileMember(database.db, memberId, { cause: 'member_changed', actor: 'app' });

test('a match holds by Zoom user id when the member gets another address', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const member = await memberOf(database.db, org, 1);
  await setEmail(member, `new@${org.account}.test`);
  await look(member);
  expect(await storedFacts(org, member)).toMatchObject({ match: 'email', zoom_user_key: `${org.account}:1` });
  expect(await resolveMember(database.db, member)).toMatchObject({
    hosting: 'can_host',
    zoomUserId: `${org.account}:1`,
  });
});

test('until the address of that Zoom user is another member’s: then the other is matched, and the rows of both say so', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const [first, second] = [await memberOf(database.db, org, 1), await memberOf(database.db, org, 2)];
  await setEmail(first, `elsewhere@${org.account}.test`);
  await look(first);
  await setEmail(second, `1@${org.account}.test`);
  // second holds user 2 by its own match, so first loses user 1 and nobody else takes it yet
  await look(second);
  expect(await storedFacts(org, first)).toMatchObject({ match: 'checking', zoom_user_key: null });
  expect(await storedFacts(org, second)).toMatchObject({ match: 'email', zoom_user_key: `${org.account}:2` });
  await sql`delete from steward.directory_users where user_key = ${`${org.account}:2`}`.execute(database.db);
  await look(second);
  expect(await storedFacts(org, second)).toMatchObject({ match: 'email', zoom_user_key: `${org.account}:1` });
});

test('until the Zoom user is gone', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const member = await memberOf(database.db, org, 1);
  await sql`delete from steward.directory_users where user_key = ${`${org.account}:1`}`.execute(database.db);
  await look(member);
  expect(await storedFacts(org, member)).toMatchObject({ match: 'none', zoom_user_key: null });
});

test('two members with one address: nobody is matched, live and stored, also the one who was there first and unmatched', async () => {
  const org = await fresh();
  const [first, second] = [await memberOf(database.db, org, 1), await memberOf(database.db, org, 2)];
  await setEmail(second, ` 1@${org.account.toUpperCase()}.Test `);
  expect(await resolveMember(database.db, first)).toMatchObject({ hosting: 'ambiguous_match', zoomUserId: null });
  expect(await resolveMember(database.db, second)).toMatchObject({ hosting: 'ambiguous_match', zoomUserId: null });
  await look(second);
  // The run of one brought the row of the other along.
  expect(await storedFacts(org, first)).toMatchObject({ match: 'ambiguous' });
  expect(await storedFacts(org, second)).toMatchObject({ match: 'ambiguous' });
  await sql`update steward_app.members set active = false where id = ${first}`.execute(database.db);
  await look(first);
  expect(await storedFacts(org, second)).toMatchObject({ match: 'email', zoom_user_key: `${org.account}:1` });
});

test('two Zoom users with one address: nobody is matched', async () => {
  const org = await fresh();
  const member = await memberOf(database.db, org, 1);
  await sql`
    insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
    values (${org.account}, 'twin', 'twin', ${`1@${org.account}.test`}, 'active', 2, steward.now())`.execute(
    database.db,
  );
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'ambiguous_match' });
});

test('a mapping goes first, for its account and while its user is there', async () => {
  const org = await fresh();
  const member = await memberOf(database.db, org, 9);
  const map = (account: string, user: string) =>
    sql`insert into steward.zoom_user_mappings (organization_id, member_id, zoom_account_id, zoom_user_id, actor)
        values (${org.organizationId}, ${member}, ${account}, ${user}, 'operator:x')
        on conflict (organization_id, member_id) do update set zoom_account_id = excluded.zoom_account_id, zoom_user_id = excluded.zoom_user_id`.execute(
      database.db,
    );
  await map(org.account, `${org.account}:5`);
  expect(await resolveMember(database.db, member)).toMatchObject({
    hosting: 'can_host',
    zoomUserId: `${org.account}:5`,
  });
  await map('another account', `${org.account}:5`);
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'no_zoom_user' });
  await map(org.account, 'nobody');
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'no_zoom_user' });
});

test('a joiner is checking until Zoom was asked, and then has no Zoom user', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const { rows } = await sql<{ id: string }>`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role, updated_at)
    values (gen_random_uuid(), ${org.organizationId}, 'Joiner', 'joiner@x.test', true, 'user', now() + interval '1 minute') returning id`.execute(
    database.db,
  );
  const joiner = rows[0]?.id as string;
  expect(await resolveMember(database.db, joiner)).toMatchObject({ effective: 'organization', hosting: 'checking' });
  await look(joiner);
  await sql`insert into steward.directory_lookups (zoom_account_id, address_key, looked_up_at) values (${org.account}, 'joiner@x.test', steward.now())`.execute(
    database.db,
  );
  expect(await resolveMember(database.db, joiner)).toMatchObject({ hosting: 'no_zoom_user' });
});

test('an address that changes after the directory was walked is checking again; the next walk settles it', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const member = await memberOf(database.db, org, 9);
  await sql`update steward_app.members set email = 'other@x.test' where id = ${member}`.execute(database.db);
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'checking' });
  await look(member);
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'checking' });
  await sql`update steward.directories set synced_at = steward.now() where zoom_account_id = ${org.account}`.execute(
    database.db,
  );
  expect(await resolveMember(database.db, member)).toMatchObject({ hosting: 'no_zoom_user' });
});

test('a shared host serves who has no Zoom user, only while that Zoom user can host', async () => {
  const org = await fresh();
  const member = await memberOf(database.db, org, 9);
  await sql`insert into steward.organization_settings (organization_id, shared_host_zoom_user_id) values (${org.organizationId}, ${`${org.account}:3`})`.execute(
    database.db,
  );
  expect(await resolveMember(database.db, member)).toMatchObject({
    hosting: 'can_host',
    zoomUserId: `${org.account}:3`,
    sharedHost: true,
  });
  await sql`update steward.directory_users set status = 'inactive' where user_key = ${`${org.account}:3`}`.execute(
    database.db,
  );
  expect(await resolveMember(database.db, member)).toMatchObject({
    hosting: 'no_zoom_user',
    zoomUserId: null,
    sharedHost: false,
  });
});

test('a member who moves has rows in the new organization only', async () => {
  const [from, to] = [await fresh(), await fresh()];
  await reconcileAll(database.db, from);
  const member = await memberOf(database.db, from, 1);
  await sql`update steward_app.members set organization_id = ${to.organizationId} where id = ${member}`.execute(
    database.db,
  );
  expect(await look(member)).toMatchObject({
    state: 'written',
    counts: { 'facts.deleted': 1, 'members.deleted': 1, 'members.written': 1 },
  });
  expect(await storedFacts(from, member)).toBeUndefined();
  expect(await storedFacts(to, member)).toBeDefined();
  expect(await resolveMember(database.db, member)).toMatchObject({ organizationId: to.organizationId });
});

test('a look that finds nothing writes nothing, not even a run', async () => {
  await reconcileAll(database.db, organization);
  const member = await memberOf(database.db, organization, 1);
  const before = [await rowVersions(database.db, organization.organizationId), await countRuns()];
  expect(await look(member)).toEqual({ state: 'unchanged', counts: {} });
  expect([await rowVersions(database.db, organization.organizationId), await countRuns()]).toEqual(before);
});

test('somebody nobody knows is nothing to do', async () => {
  expect(await look('00000000-0000-4000-8000-000000000000')).toEqual({ state: 'unknown', counts: {} });
});

test('the main app writes members with any address under a role that knows nothing of the worker', async () => {
  await database.db.transaction().execute(async (trx) => {
    await sql`create role r1_plain_app nologin`.execute(trx);
    await sql`grant usage on schema steward_app to r1_plain_app`.execute(trx);
    await sql`grant insert on steward_app.members to r1_plain_app`.execute(trx);
    await sql`set local role r1_plain_app`.execute(trx);
    await sql`
      insert into steward_app.members (id, organization_id, name, email, email_verified, role)
      select gen_random_uuid(), ${organization.organizationId}, 'x', email, true, 'user' from unnest(array['Plain@x.test', 'Ünï@ünïcode.test']) email`.execute(
      trx,
    );
    await sql`reset role`.execute(trx);
    await sql`drop owned by r1_plain_app`.execute(trx);
    await sql`drop role r1_plain_app`.execute(trx);
  });
});

async function countRuns(): Promise<number> {
  const { n } = await database.db
    .selectFrom('steward.runs')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return n;
}
