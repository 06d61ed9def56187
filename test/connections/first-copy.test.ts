import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

/** Few of everything, so that users come twice, share an address, and meet members. */
const user = fc.record({
  id: fc.option(fc.constantFrom('u1', 'u2', 'u3', 'u4', 'u5'), { freq: 3 }),
  key: fc.option(fc.constantFrom('a@x.test', 'b@x.test', 'b@y.test', 'c@z.test', 'd@z.test'), { freq: 5 }),
  type: fc.constantFrom(1, 2, 99),
});
const page = fc.record({
  status: fc.constantFrom('active', 'inactive', 'pending'),
  users: fc.array(user, { minLength: 1, maxLength: 5 }),
});
type Walk = {
  readonly pages: readonly {
    readonly status: string;
    readonly users: readonly { readonly id: string | null; readonly key: string | null; readonly type: number }[];
  }[];
  readonly members: readonly string[];
  readonly hinted: readonly string[];
};
const walk: fc.Arbitrary<Walk> = fc.record({
  pages: fc.array(page, { minLength: 1, maxLength: 5 }),
  members: fc.subarray(['a@x.test', 'b@x.test', 'c@z.test', 'e@z.test']),
  hinted: fc.subarray(['u1', 'u4']),
});

type Copied = {
  user_key: string;
  zoom_user_id: string | null;
  address_key: string;
  status: string;
  duplicate: boolean;
};

test('the first copy of an account is what a later walk makes of the same pages', async () => {
  const { db } = database;
  const copyOf = async ({ pages, members, hinted }: Walk, first: boolean) => {
    const [account, walkId, organizationId] = [`acc_${randomUUID()}`, randomUUID(), randomUUID()];
    await sql`insert into steward.directories (zoom_account_id) values (${account})`.execute(db);
    await sql`
      insert into steward.org_connections (id, organization_id, state, zoom_account_id, generation)
      values (${randomUUID()}, ${organizationId}, 'active', ${account}, 1)`.execute(db);
    await sql`
      insert into steward.domain_equivalences (organization_id, domain, same_as, actor, created_at)
      values (${organizationId}, 'x.test', 'y.test', 'operator:test', steward.now())`.execute(db);
    for (const email of members)
      await sql`
        insert into steward_app.members (id, organization_id, name, email, email_verified, role)
        values (gen_random_uuid(), ${organizationId}, 'M', ${email}, true, 'user')`.execute(db);
    for (const id of hinted)
      await sql`
        insert into steward.hints (subject, zoom_account_id, look_at, asked_at)
        values (${`user:${account}/${id}`}, ${account}, steward.now(), steward.now() + interval '1 minute')`.execute(
        db,
      );
    // Somebody whom the walk does not see makes it a later one.
    if (!first)
      await sql`
        insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
        values (${account}, 'gone', 'gone', 'gone@z.test', 'active', 2, steward.now() - interval '1 day')`.execute(db);
    for (const { status, users } of pages)
      await sql`
        insert into steward.directory_staging (walk_id, status, zoom_user_ids, address_keys, address_hashes, user_types)
        values (${walkId}, ${status}, ${users.map(({ id }) => id)}::text[], ${users.map(({ key }) => key)}::text[],
                ${users.map(({ key }) => (key === null ? null : `#k.${key}`))}::text[], ${users.map(({ type }) => type)}::smallint[])`.execute(
        db,
      );
    await sql`select steward.swap_directory(${account}, ${walkId}, steward.now())`.execute(db);
    const { rows } = await sql<Copied>`
      select user_key, zoom_user_id, address_key, status, user_type, duplicate from steward.directory_users
       where zoom_account_id = ${account} order by user_key`.execute(db);
    return rows;
  };
  let copied = 0;
  await fc.assert(
    fc.asyncProperty(walk, async (said) => {
      const first = await copyOf(said, true);
      copied += first.length;
      expect(first).toEqual(await copyOf(said, false));
    }),
    { numRuns: 60 },
  );
  expect(copied).toBeGreaterThan(60);
});
