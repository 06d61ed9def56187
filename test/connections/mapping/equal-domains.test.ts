import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { addressForms } from '../../../src/connections/address-forms.ts';
import type { Asker } from '../../../src/connections/authority.ts';
import { lookAtZoomUser } from '../../../src/connections/look-at-zoom-user.ts';
import {
  changeEquivalence,
  type EquivalenceChange,
  previewEquivalence,
} from '../../../src/connections/mapping/change-equivalence.ts';
import { listEquivalences } from '../../../src/connections/mapping/equal-domains.ts';
import { importMappings } from '../../../src/connections/mapping/import-mappings.ts';
import { listMappings } from '../../../src/connections/mapping/list-mappings.ts';
import { syncDirectory } from '../../../src/connections/sync-directory.ts';
import { createVault } from '../../../src/grants/vault.ts';
import { Secret } from '../../../src/secret.ts';
import { useDatabase } from '../../support/database.ts';
import { accountWith, connectActive, owed } from '../connecting.ts';
import { insertOrganization, toldTypes } from '../organization.ts';
import { createOwedRunner } from '../run-owed.ts';
import { playConnections, scriptedVault } from '../scripted-zoom.ts';

const database = useDatabase();
const forms = addressForms(scriptedVault);
const rotated = addressForms(
  createVault({
    keys: [
      { id: 'k2', key: new Secret(Buffer.alloc(32, 9).toString('base64')) },
      { id: 'k1', key: new Secret(Buffer.alloc(32, 7).toString('base64')) },
    ],
    activeKeyId: 'k2',
  }),
);
const operator: Asker = { operator: 'jo', reason: 'ticket 1' };

/** user0 … are members at the organization's domain; Zoom has its owner and admin there, and `names` at group.example. */
async function setting(names: readonly string[], { users = 4 } = {}) {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db, { users });
  const { id: organizationId, domain } = organization;
  const account = `acc-${organizationId}`;
  const group = `group-${domain}`;
  const own = [organization.owner.email, organization.admin.email];
  const admin = accountWith(play.scripted, account, own, `it@${domain}`);
  const atGroup = (name: string, more = {}) =>
    play.scripted.zoom.users.push({ id: `z-${name}-${account}`, email: `${name}@${group}`, account, ...more });
  // Half of the members must be found, or a person confirms.
  play.scripted.zoom.users.push(
    ...organization.people.slice(0, users).map(({ email }, n) => ({ id: `own${n}-${account}`, email, account })),
  );
  for (const name of names) atGroup(name);
  const { connectionId } = await connectActive(play, organization, account, admin);
  play.scripted.zoom.users = play.scripted.zoom.users.filter(({ id }) => !id.startsWith('own'));
  await sql`update steward.directories set refused = null where zoom_account_id = ${account}`.execute(db);
  await sql`delete from steward.directory_users where zoom_account_id = ${account} and user_key like 'own%'`.execute(
    db,
  );
  const run = createOwedRunner(play.deps);
  await run();
  const request = (change: 'add' | 'remove', domains: Partial<EquivalenceChange> = {}): EquivalenceChange => ({
    organizationId,
    change,
    domain,
    sameAs: group,
    forms,
    ...domains,
  });
  const change = (what: 'add' | 'remove', { asker = operator, confirm, ...domains }: Record<string, unknown> = {}) =>
    db.transaction().execute((trx) =>
      changeEquivalence(trx, {
        ...request(what, domains),
        asker: asker as Asker,
        ...(confirm ? { confirm: confirm as { generation: number; typedName: string } } : {}),
      }),
    );
  /** address, its domain as org or group → how the member is matched, and as whom, as stored */
  const matches = async () => {
    const { rows } = await sql<{ email: string; match: string; user: string | null }>`
      select replace(replace(m.email, ${group}, 'group'), ${domain}, 'org') as email, f.match,
             split_part(f.zoom_user_key, '-acc', 1) as "user"
        from steward.member_facts f join steward_app.members m on m.id = f.member_id
       where f.organization_id = ${organizationId} and m.role = 'user' order by 1`.execute(db);
    return Object.fromEntries(
      rows.map(({ email, match, user }) => [email, user === null ? match : `${match} ${user}`]),
    );
  };
  const derived = async () =>
    (await listMappings(db, organizationId)).filter(({ origin }) => origin === 'domain').length;
  const walk = () => syncDirectory(play.deps, account, { paceMs: 0, sliceMs: 60_000 });
  const join = async (name: string, at = domain) => {
    const id = randomUUID();
    await sql`insert into steward_app.members (id, organization_id, name, email, email_verified, role)
              values (${id}, ${organizationId}, ${name}, ${`${name}@${at}`}, true, 'user')`.execute(db);
    await sql`select steward.changed('member', ${id}::uuid)`.execute(db);
    await run();
    return id;
  };
  const look = async (id: string) => {
    await lookAtZoomUser(play.deps, { zoomAccountId: account, zoomUserId: id });
    await run();
  };
  const confirmed = async () => {
    const { generation } = await previewEquivalence(db, request('remove'));
    return { generation, typedName: organization.name };
  };
  return {
    db,
    play,
    zoom: play.scripted.zoom,
    organization,
    organizationId,
    account,
    group,
    connectionId,
    run,
    request,
    change,
    matches,
    derived,
    walk,
    join,
    look,
    atGroup,
    confirmed,
  };
}

describe('two domains that mean the same people', () => {
  it('match whom nothing else matches, as the preview said: told, audited, looked at', async () => {
    const { db, change, request, matches, run, organizationId, organization, group, account } = await setting([
      'user0',
      'user1',
      'user2',
    ]);
    const [user0, , user2] = organization.people;
    const { domain, owner } = organization;
    await importMappings(db, {
      organizationId,
      input: { wishes: [{ line: 1, member: user2!.id, zoomUser: `user1@${group}` }] },
      forms,
      asker: operator,
    });
    await run();
    const before = { 'user0@org': 'none', 'user1@org': 'none', 'user2@org': 'mapping z-user1', 'user3@org': 'none' };
    expect(await matches()).toEqual(before);
    // user1's Zoom user is user2's by a person's word; user3 has none anywhere.
    const preview = await previewEquivalence(db, request('add'));
    expect(preview).toMatchObject({
      new: 1,
      moved: 0,
      ended: 0,
      unmatched: 2,
      changed: true,
      needsConfirmation: false,
    });
    expect(await listEquivalences(db, organizationId)).toEqual([]);
    expect(await owed(db)).toEqual([]);

    // Another key of the ring is active by now; the copy is hashed under the old one.
    const asker = { memberId: owner.id };
    const done = await change('add', { asker, domain: ` @${group.toUpperCase()}`, sameAs: domain, forms: rotated });
    expect(done).toEqual(preview);
    expect(done.examples).toMatchObject([{ memberId: user0!.id, was: null }]);
    await run();
    expect(await matches()).toEqual({ ...before, 'user0@org': 'mapping z-user0' });
    expect((await toldTypes(db, organizationId)).filter((type) => type === 'member.mapped')).toHaveLength(2);
    const { rows } = await sql`
      select actor, data from steward.audit_log
       where action = 'equivalence.added' and organization_id = ${organizationId}`.execute(db);
    expect(rows).toMatchObject([{ actor: `member:${owner.id}`, data: { new: 1 } }]);

    // Again, the other way round: nothing. And no plan doubts the mapping.
    expect(await change('add')).toMatchObject({ changed: false, new: 0, moved: 0, ended: 0 });
    expect(await listEquivalences(db, organizationId)).toMatchObject([{ members: 1, actor: `member:${owner.id}` }]);
    const doubtful = await sql`
      select d.member_id from steward.organization_facts(${organizationId}) f,
             lateral steward.doubtful_members(${organizationId}, f.zoom_account_id, f.rollout, f.rollout_groups, f.rollout_domains) d`.execute(
      db,
    );
    expect(doubtful.rows).toEqual([]);

    // Zoom has somebody at their own address, and no look has come by: whoever asks hears that, and a plan looks anew.
    await sql`
      insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      values (${account}, 'own', 'own', ${user0!.email}, 'active', 2, steward.now())`.execute(db);
    const { rows: heard } = await sql<{ how: string; user: string | null }>`
      select 'one' as how, l.zoom_user_key as "user" from steward.live_facts(${organizationId}, array[${user0!.id}]::uuid[]) l
       union all
      select 'range', l.zoom_user_key
        from steward.organization_facts(${organizationId}) f,
             lateral steward.live_facts_between(${organizationId}, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
                                                f.zoom_account_id, f.rollout, f.rollout_groups, f.rollout_domains) l
       where l.member_id = ${user0!.id}
       union all
      select 'doubted', d.member_id::text
        from steward.organization_facts(${organizationId}) f,
             lateral steward.doubtful_members(${organizationId}, f.zoom_account_id, f.rollout, f.rollout_groups, f.rollout_domains) d`.execute(
      db,
    );
    expect(heard).toEqual([
      { how: 'one', user: 'own' },
      { how: 'range', user: 'own' },
      { how: 'doubted', user: user0!.id },
    ]);
  });

  it('match nobody where two members or two Zoom users come together; pairs stand alone', async () => {
    const { db, change, matches, run, join, group, organization, atGroup, walk } = await setting(['user0', 'user1']);
    await sql`
      update steward_app.organizations set verified_domains = verified_domains || ${['third.example']}::text[]
       where id = ${organization.id}`.execute(db);
    await change('add');
    await change('add', { sameAs: 'third.example' });
    await run();
    const before = { 'user0@org': 'mapping z-user0', 'user1@org': 'mapping z-user1' };
    expect(await matches()).toMatchObject(before);
    // third means org, and org means group: third does not mean group.
    await join('user1', 'third.example');
    expect(await matches()).toMatchObject({ ...before, 'user1@third.example': 'none' });
    // Somebody's own address is that of the Zoom user whom another one means: user0's falls away with it.
    await join('user0', group);
    expect(await matches()).toMatchObject({ 'user0@org': 'none', 'user0@group': 'email z-user0' });
    // Two Zoom users with what the address means.
    atGroup('late');
    atGroup('late', { id: 'late2' });
    await walk();
    await run();
    await join('late');
    expect(await matches()).toMatchObject({ 'late@org': 'none' });
  });

  it('hold by the Zoom user, until it is gone, or the member has one of their own', async () => {
    const { db, zoom, account, change, matches, run, walk, look, organization, group, atGroup, derived } =
      await setting(['user0', 'user1', 'user2', 'user3']);
    await change('add');
    await run();
    expect(await derived()).toBe(4);
    const at = (name: string) => zoom.users.find(({ email }) => email === `${name}@${group}`)!;
    // One changes their address here, one at Zoom, one gets a user of their own, one is gone.
    await sql`update steward_app.members set email = ${`zero@${organization.domain}`} where id = ${organization.people[0]!.id}`.execute(
      db,
    );
    await sql`select steward.changed('member', ${organization.people[0]!.id}::uuid)`.execute(db);
    at('user1').email = `one@${group}`;
    zoom.users.push({ id: 'own2', email: organization.people[2]!.email, account });
    zoom.users = zoom.users.filter(({ email }) => email !== `user3@${group}`);
    await look('own2');
    await look(`z-user3-${account}`);
    const after = {
      'zero@org': 'mapping z-user0',
      'user1@org': 'mapping z-user1',
      'user2@org': 'email own2',
      'user3@org': 'none',
    };
    expect(await matches()).toEqual(after);
    await walk();
    await run();
    expect(await matches()).toEqual(after);
    // A Zoom user who comes, by webhook, is matched as soon as they were looked at; by a walk, with it.
    atGroup('user3', { id: 'z-late' });
    await look('z-late');
    expect(await matches()).toEqual({ ...after, 'user3@org': 'mapping z-late' });
    await sql`update steward_app.members set active = false where organization_id = ${organization.id} and role = 'user'`.execute(
      db,
    );
    for (const { id } of organization.people) await sql`select steward.changed('member', ${id}::uuid)`.execute(db);
    await run();
    expect(await derived()).toBe(0);
  });

  it('match a joiner after their own address, by hash in the copy or by a look at Zoom', async () => {
    const { db, change, matches, run, join, zoom, atGroup, account, group, organization } = await setting([
      'user0',
      'joiner',
    ]);
    await change('add');
    await run();
    zoom.calls.length = 0;
    await join('joiner');
    expect(await matches()).toMatchObject({ 'joiner@org': 'mapping z-joiner' });
    expect(zoom.calls).toEqual(['user']);
    atGroup('unseen');
    zoom.calls.length = 0;
    await join('unseen');
    expect(await matches()).toMatchObject({ 'unseen@org': 'mapping z-unseen' });
    expect(zoom.calls).toEqual(['user', 'user']);
    // The copy knows who is meant by name already, and not yet that the joiner has a Zoom user of their own.
    atGroup('both');
    zoom.users.push({ id: 'own-both', email: `both@${organization.domain}`, account });
    await sql`
      insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      values (${account}, 'z-both', 'z-both', ${`both@${group}`}, 'active', 2, steward.now())`.execute(db);
    await join('both');
    expect(await matches()).toMatchObject({ 'both@org': 'email own-both' });
  });

  it('give way to a person, and come back when that ends; removed, they end what they made and nothing else', async () => {
    const { db, change, matches, run, organizationId, organization, group, confirmed, account, zoom, look, join } =
      await setting(['user0', 'user1']);
    await change('add');
    await run();
    const map = async (member: number, zoomUser: string | null) => {
      const wishes = [{ line: 1, member: organization.people[member]!.id, zoomUser }];
      expect(await importMappings(db, { organizationId, input: { wishes }, forms, asker: operator })).toMatchObject({
        written: true,
      });
      await run();
    };
    await map(3, `user0@${group}`);
    expect(await matches()).toMatchObject({ 'user0@org': 'none', 'user3@org': 'mapping z-user0' });
    await map(3, null);
    expect(await matches()).toMatchObject({ 'user0@org': 'mapping z-user0', 'user3@org': 'none' });
    // Who is unverified keeps their match by e-mail; mapped, they leave that Zoom user to who means it.
    zoom.users.push({ id: 'own2', email: organization.people[2]!.email, account });
    await look('own2');
    await join('user2', group);
    await sql`update steward_app.members set email_verified = false where id = ${organization.people[2]!.id}`.execute(
      db,
    );
    await sql`select steward.changed('member', ${organization.people[2]!.id}::uuid)`.execute(db);
    await run();
    expect(await matches()).toMatchObject({ 'user2@org': 'email own2', 'user2@group': 'none' });
    await map(2, `user1@${group}`);
    expect(await matches()).toMatchObject({ 'user2@org': 'mapping z-user1', 'user2@group': 'mapping own2' });
    await map(2, null);
    await map(0, `user0@${group}`);
    // What takes a Zoom user from somebody is confirmed by who saw it.
    await expect(change('remove')).rejects.toMatchObject({ code: 'confirmation_missing' });
    const confirm = await confirmed();
    await expect(change('remove', { confirm: { ...confirm, typedName: 'Other' } })).rejects.toMatchObject({
      code: 'name_mismatch',
    });
    await expect(change('remove', { confirm: { ...confirm, generation: 0 } })).rejects.toMatchObject({
      code: 'stale_preview',
    });
    expect(await change('remove', { confirm })).toMatchObject({ ended: 2, new: 0, moved: 0, changed: true });
    await run();
    expect(await matches()).toMatchObject({ 'user0@org': 'mapping z-user0', 'user1@org': 'none' });
    expect(await change('remove')).toMatchObject({ changed: false, ended: 0 });
    // The address that nobody means any more is a hash again after the next walk.
    const { rows } = await sql`
      select from steward.directory_users where zoom_account_id = ${account} and address_key = ${`user1@${group}`}`.execute(
      db,
    );
    expect(rows).toHaveLength(1);
  });

  it('are made up for by a run when a job was lost, and then a run finds nothing', async () => {
    const { db, play, zoom, account, organization, change, matches, run, organizationId, derived, atGroup, walk } =
      await setting(['user0', 'user1']);
    await change('add');
    await run();
    await sql`delete from steward.zoom_user_mappings where organization_id = ${organizationId}`.execute(db);
    const reconcile = async () => {
      await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(db);
      await run();
    };
    await reconcile();
    expect(await derived()).toBe(2);
    expect(await matches()).toMatchObject({ 'user0@org': 'mapping z-user0' });
    const audited = () => sql`select from steward.audit_log where action = 'mappings.derived'`.execute(db);
    const before = (await audited()).rows.length;
    await reconcile();
    expect((await audited()).rows.length).toBe(before);
    // Who is new at Zoom is matched with the walk that finds them, before any run.
    atGroup('user2');
    zoom.users.push({ id: `own3-${account}`, email: `user3@${organization.domain}`, account });
    await walk();
    expect(await derived()).toBe(3);
    expect((await owed(db)).map(({ job }) => job)).toContain('reconcile-organization');
    // And by whoever takes the same account over: of the others stored facts stand, these are looked at.
    await run();
    await sql`delete from steward.zoom_user_mappings where organization_id = ${organizationId}`.execute(db);
    const other = { id: `${account}-other`, email: `it2@${organization.domain}`, account };
    zoom.users.push(other);
    await connectActive(play, organization, account, other);
    expect(await derived()).toBe(3);
    const { rows } = await sql`
      select cause, phase from steward.runs where organization_id = ${organizationId} and state = 'queued'`.execute(db);
    expect(rows).toEqual([{ cause: 'activated', phase: 'facts' }]);
  });

  it("are refused where they are none, the same, anybody's, unknown, or said by who may not", async () => {
    const { change, organization, group, connectionId, db } = await setting(['user0']);
    const refused = (code: string, more: Record<string, unknown>) =>
      expect(change('add', more)).rejects.toMatchObject({ code });
    for (const sameAs of ['', 'example', 'a b.example', `anna@${group}`, '-'])
      await refused('domain_invalid', { sameAs });
    await refused('domain_same', { sameAs: ` ${organization.domain.toUpperCase()}. ` });
    await refused('domain_public', { sameAs: 'GMail.com' });
    await refused('domain_unknown', { sameAs: 'elsewhere.example' });
    await refused('owner_only', { asker: { memberId: organization.admin.id } });
    await refused('reason_missing', { asker: { operator: 'jo', reason: '' } });
    await refused('keys_missing', { forms: addressForms(null) });
    await sql`
      insert into steward.domain_equivalences (organization_id, domain, same_as, actor, created_at)
      select ${organization.id}, 'a' || n || '.example', 'z.example', 'test', now() from generate_series(1, 20) n`.execute(
      db,
    );
    await refused('equivalences_full', {});
    await sql`update steward.org_connections set state = 'disconnecting' where id = ${connectionId}`.execute(db);
    await refused('not_connected', {});
  });
});
