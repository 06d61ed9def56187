import { randomUUID } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { expect, it } from 'vitest';
import { createDice } from '../../reconciliation/worlds/generate-event-types.ts';
import { useDatabase } from '../../support/database.ts';
import { insertOrganization } from '../organization.ts';
import { type Derived, type DomainWorld, deriveAll, equalAddresses, isMapped } from './derived-oracle.ts';

const database = useDatabase({ max: 2 });
const steps = Number(process.env['STEWARD_STEPS'] ?? 100);
const domains = ['a.example', 'b.example', 'c.example'];
const names = ['ann', 'ben', 'cleo', 'dan'];

it('one member or Zoom user after another changes: looking at whom that concerns comes to what the rule says of all', async () => {
  const { db } = database;
  const seed = Number(process.env['STEWARD_SEED'] ?? 1);
  const roll = createDice(seed);
  const pick = <T>(from: readonly T[]): T => from[roll(from.length)] as T;
  const address = (): string => `${pick(names)}@${pick(domains)}`;
  const { id: organization, owner, admin } = await insertOrganization(db, { users: 0 });
  const account = 'acc';
  await sql`delete from steward_app.members where id in (${owner.id}, ${admin.id})`.execute(db);
  await sql`insert into steward.directories (zoom_account_id, synced_at) values (${account}, '2100-01-01')`.execute(db);
  await sql`
    insert into steward.domain_equivalences (organization_id, domain, same_as, actor, created_at)
    values (${organization}, 'a.example', 'b.example', 'test', now()), (${organization}, 'b.example', 'c.example', 'test', now())`.execute(
    db,
  );
  let members: DomainWorld['members'] = Array.from({ length: 5 }, () => ({
    id: randomUUID(),
    address: address(),
    active: true,
    verified: true,
    person: null,
    email: null,
  }));
  let users: DomainWorld['users'] = [];
  let derived: Derived = {};
  const world = (): DomainWorld => ({ pairs: [domains.slice(0, 2), domains.slice(1)] as never, members, users });
  const run = (statement: RawBuilder<unknown>) => statement.execute(db);

  /** One statement a table: members, users and people's mappings as they are now. */
  const write = async () => {
    await run(sql`delete from steward_app.members where organization_id = ${organization}`);
    await run(sql`
      insert into steward_app.members (id, organization_id, name, email, email_verified, active, role)
      select m.id, ${organization}, 'm', m.address, m.verified, m.active, 'user'
        from jsonb_to_recordset(${JSON.stringify(members)}::jsonb) as m (id uuid, address text, verified boolean, active boolean)`);
    await run(sql`delete from steward.directory_users`);
    await run(sql`
      insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      select ${account}, u.id, u.id, u.address, 'active', 2, now()
        from jsonb_to_recordset(${JSON.stringify(users)}::jsonb) as u (id text, address text)`);
    await run(sql`delete from steward.zoom_user_mappings where origin = 'person'`);
    await run(sql`
      insert into steward.zoom_user_mappings as z (organization_id, member_id, zoom_account_id, zoom_user_id, actor, origin)
      select ${organization}, m.id, ${account}, m.person, 'test', 'person'
        from jsonb_to_recordset(${JSON.stringify(members)}::jsonb) as m (id uuid, person text) where m.person is not null
      on conflict (organization_id, member_id) do update
         set (zoom_user_id, origin, domain, same_as) = (excluded.zoom_user_id, 'person', null, null)`);
  };
  /** What a run would have stored of everybody: so a later look knows what they were. */
  const remember = async () => {
    members = members.map((member) => {
      const isAlone = (at: string) =>
        !members.some((o) => o.id !== member.id && o.active && o.verified && o.address === at);
      const held = users.find(({ id, address: at }) => id === member.email && isAlone(at));
      const [found, second] = users.filter((user) => user.address === member.address);
      const email = held ?? (member.verified && found && !second && isAlone(member.address) ? found : undefined);
      return { ...member, email: isMapped(world(), member) || derived[member.id] ? null : (email?.id ?? null) };
    });
    await run(sql`delete from steward.member_facts`);
    await run(sql`
      insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, address_since, match, zoom_user_key)
      select ${organization}, m.id, m.active, true, false, 'none', case when m.verified then m.address end, '2000-01-01',
             case when m.mapped is not null then 'mapping' when m.email is not null then 'email' else 'none' end,
             coalesce(m.mapped, m.email)
        from jsonb_to_recordset(${JSON.stringify(members.map((m) => ({ ...m, mapped: isMapped(world(), m) ? m.person : derived[m.id] })))}::jsonb)
             as m (id uuid, address text, verified boolean, active boolean, email text, mapped text)`);
  };
  const stored = async (): Promise<Derived> => {
    const { rows } = await sql<{ id: string; user: string }>`
      select member_id as id, zoom_user_id as "user" from steward.zoom_user_mappings where origin = 'domain'`.execute(
      db,
    );
    return Object.fromEntries(rows.map((row) => [row.id, row.user]));
  };
  /** Changes one thing; returns the members that are looked at because of it. */
  const change = (): string[] => {
    const member = pick(members);
    const set = (more: Partial<typeof member>) => {
      members = members.map((one) => (one.id === member.id ? { ...one, ...more } : one));
      return [member.id];
    };
    const concerned = (addresses: readonly string[], id: string): string[] => {
      const meant = [...addresses, ...addresses.flatMap((one) => equalAddresses(world(), one))];
      return members
        .filter((m) => meant.includes(m.address) || [m.person, m.email, derived[m.id]].includes(id))
        .map((m) => m.id);
    };
    switch (roll(8)) {
      case 0:
        return set({ active: roll(4) > 0 });
      case 1:
        return set({ verified: roll(4) > 0 });
      case 2:
      case 3:
        return set({ address: address() });
      case 4: {
        const free = users.find((user) => !members.some((o) => o.person === user.id));
        return set({ person: member.person === null && free && roll(2) === 0 ? free.id : null });
      }
      case 5: {
        const [gone, ...rest] = users;
        if (!gone) return [];
        users = rest;
        return concerned([gone.address], gone.id);
      }
      default: {
        const old = users.length > 3 ? pick(users) : undefined;
        const meant = equalAddresses(world(), member.address);
        const user = { id: old?.id ?? `z${roll(1e9)}`, address: roll(2) === 0 ? pick(meant) : address() };
        users = [...users.filter(({ id }) => id !== user.id), user];
        return concerned([user.address, ...(old ? [old.address] : [])], user.id);
      }
    }
  };

  let matched = 0;
  for (let step = 0; step < steps; step += 1) {
    const ids = change();
    await write();
    // A person's word replaced what was derived.
    const before = Object.fromEntries(
      Object.entries(derived).filter(([id]) => members.find((m) => m.id === id)?.person === null),
    );
    const expected = deriveAll(world(), before);
    await run(sql`select * from steward.derive_domain_mappings(${organization}, ${account}, ${ids}::uuid[])`);
    derived = await stored();
    expect(derived, `seed ${seed}, step ${step}, looked at ${ids.join()}: ${JSON.stringify(world())}`).toEqual(
      expected,
    );
    const { rows } = await sql`select * from steward.derive_domain_mappings(${organization}, ${account}, null)`.execute(
      db,
    );
    expect(rows).toEqual([]);
    matched += Object.keys(derived).length;
    await remember();
  }
  expect(matched).toBeGreaterThan(steps / 8);
});
