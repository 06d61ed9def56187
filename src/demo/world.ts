import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { allSettled, load } from './load.ts';

/** How the people of the demo's organization stand to Zoom; the number of a member decides, so that checks can say it again. */
export type WorldSize = {
  /** members of the organization */
  readonly members: number;
  /** makes the ids; equal seeds make equal worlds */
  readonly seed: number;
};

export type World = WorldSize & {
  readonly organizationId: string;
  readonly ownerId: string;
  readonly name: string;
  /** Resolves when the locations are there as well: most of what a world takes. */
  readonly located: Promise<void>;
  /** Resolves when checks of locations can be asked: what is remembered of them is there. */
  readonly remembered: Promise<void>;
};

/** With fewer the shared event types would have the same host twice. */
const fewestMembers = 10;

/** The Zoom account that the organization connects. */
export const zoomAccountId = 'acc_northwind';
/** Domain of the members' addresses, verified by the organization. */
const domain = 'northwind.example';

const kinds = ['member', 'solo', 'plain', 'group', 'managed', 'template', 'robin', 'collective', 'booking'] as const;

/** Ids by number: equal for equal seeds, and as good as random. Each is two hashes, salted by seed and kind. */
const idBySeed =
  (seed: number) =>
  (kind: (typeof kinds)[number], i = 'i'): string => {
    const salt = 2 * (seed * kinds.length + kinds.indexOf(kind));
    const half = (salted: number) => `int8send(hashint8extended((${i})::bigint, ${salted}))`;
    return `encode(${half(salt)} || ${half(salt + 1)}, 'hex')::uuid`;
  };

/**
 * The story's own account of every member, written beside the product's tables and read only by the checks.
 * Of 100 members: 9 have no Zoom user, 1 shares an address with another, 2 are pending, 1 inactive,
 * 2 have no meeting licence, 10 are basic, the rest licensed. Every tenth has a personal Zoom. A step of 29 through
 * the hundred mixes them, so that ten members are a story already.
 */
const storySql = `
  create schema if not exists story;
  create unlogged table story.members (i int not null, member_id uuid not null, address text not null, zoom text not null, personal boolean not null);
  create unlogged table story.event_types (id uuid not null, kind text not null, has_zoom boolean not null, host_member_id uuid, title text not null);
  -- The transaction that wrote the rows of a table, all of them.
  create unlogged table story.writers (what text primary key, xid xid not null);
`;

/**
 * The locations of every event type: Zoom between two others, where it has Zoom. Ids are as good as random, so that neighbours
 * in one index are none in another. Of details there are as many as first three digits of an id: each is made once.
 */
const locationId = (position: number) =>
  `encode(int8send(uuid_hash_extended(e.id, ${2 * position})) || int8send(uuid_hash_extended(e.id, ${2 * position + 1})), 'hex')::uuid`;
const locationsSql = `
  create unlogged table story.details as
    select key, jsonb_build_object('address', 'Room ' || key, 'note', 'Ring twice – “café”') as room,
           jsonb_build_object('phone', '+49 30 123' || key) as phone
      from (select lpad(to_hex(n), 3, '0') as key from generate_series(0, 4095) n) k;
  analyze story.details;
  create view story.locations as
    select ${locationId(0)} as id, e.id as event_type_id, 0 as position, 'physical' as kind, d.room as details
      from story.event_types e join story.details d on d.key = left(e.id::text, 3)
    union all
    select ${locationId(1)}, e.id, 1, 'zoom_conference', '{}' from story.event_types e where e.has_zoom
    union all
    select ${locationId(2)}, e.id, 2, 'outbound_call', d.phone
      from story.event_types e join story.details d on d.key = left(e.id::text, 3)`;

/** Remembers which transaction wrote the rows of a table. */
const wrote = (trx: Database, what: string): Promise<unknown> =>
  sql`insert into story.writers values (${what}, pg_current_xact_id()::xid)`.execute(trx);

const step = 29;
const placeOf = (i: number): number => (i * step) % 100;
const place = `(i * ${step} % 100)`;
const twinPlace = 9;

const zoomKind = `case
    when ${place} < ${twinPlace} then 'none'
    when ${place} = ${twinPlace} then case when (i / 100) % 2 = 0 and i + 100 >= members then 'licensed' else 'ambiguous' end
    when ${place} in (10, 11) then 'pending'
    when ${place} = 12 then 'inactive'
    when ${place} in (13, 14) then 'no_licence'
    when ${place} between 15 and 24 then 'basic'
    else 'licensed' end`;

/** What is remembered of a world before a scene changes it: statements that run once their tables are filled, side by side. */
export type Snapshots = { readonly ofLocations: readonly string[]; readonly ofTheRest: readonly string[] };

/**
 * Fills steward_app with one organization, and the schema story with what is true of it. Two connections work side by
 * side: one at the locations, which are most of it, one at everything else, which is there when this resolves.
 */
export async function seedWorld(db: Database, { members, seed }: WorldSize, snapshots: Snapshots): Promise<World> {
  if (!Number.isInteger(members) || members < fewestMembers)
    throw new Error(`The demo's world needs at least ${fewestMembers} members, got ${members}`);
  const name = 'Northwind';
  const organization = `md5('${seed}:organization')::uuid`;
  const series = (to: number, from = 0) => `(select i, ${members} as members from generate_series(${from}, ${to}) i) s`;
  const everyTenth = series(Math.floor((members - 1) / 10));
  const all = series(members - 1);
  const idOf = idBySeed(seed);
  const memberAt = (place: string) => idOf('member', place);
  const host = (offset: number) => memberAt(`((i * 10 + ${offset}) % members)`);
  await sql.raw(storySql).execute(db);
  await allSettled([
    load(db, [], async (trx) => {
      // Member 0 is the owner; nobody of the story is unverified, so that every reason has one cause.
      await sql
        .raw(`
        insert into story.members
        select i, ${idOf('member')},
               case when (${zoomKind}) = 'ambiguous' then 'twin-' || (i / 200) || '@${domain}' else 'member-' || i || '@${domain}' end,
               ${zoomKind}, i % 10 = 7
          from ${all}`)
        .execute(trx);
      await sql.raw('alter table story.members add primary key (i), add unique (member_id)').execute(trx);
    }),
    // Two event types a member, one with Zoom between two other locations; shared ones for every tenth.
    load(db, [], async (trx) => {
      await sql
        .raw(`
        insert into story.event_types
        select ${idOf('solo')}, 'solo', true, ${memberAt('i')}, '30 minutes' from ${all}
        union all select ${idOf('plain')}, 'solo', false, ${memberAt('i')}, 'Visit' from ${all}
        union all select ${idOf('group')}, 'group', true, ${host(1)}, 'Class' from ${everyTenth}
        union all select ${idOf('managed')}, 'managed', true, ${host(2)}, 'Sales call' from ${everyTenth}
        union all select ${idOf('template')}, 'template', true, case when i % 2 = 0 then ${host(3)} end, 'Template' from ${everyTenth}
        union all select ${idOf('robin')}, 'round_robin', true, null, 'Support' from ${everyTenth}
        union all select ${idOf('collective')}, 'collective', true, ${host(4)}, 'Panel' from ${everyTenth}`)
        .execute(trx);
    }),
  ]);
  const located = load(db, ['steward_app.locations'], async (trx) => {
    await sql.raw(locationsSql).execute(trx);
    await sql
      .raw(`
      insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
      select id, event_type_id, ${organization}, position, kind, details from story.locations`)
      .execute(trx);
    await wrote(trx, 'locations');
  });
  const remembered = located.then(() => runSideBySide(db, snapshots.ofLocations));
  const rest = load(
    db,
    [
      'steward_app.organizations',
      'steward_app.members',
      'steward_app.personal_connections',
      'steward_app.event_types',
      'steward_app.event_type_hosts',
      'steward_app.bookings',
    ],
    async (trx) => {
      const run = (text: string) => sql.raw(text).execute(trx);
      await run(`
        insert into steward_app.organizations (id, name, time_zone, verified_domains)
        select ${organization}, '${name}', 'Europe/Berlin', array['${domain}']`);
      await run(`
        insert into steward_app.members (id, organization_id, name, email, email_verified, role)
        select member_id, ${organization}, 'Member ' || i, address, true, case i when 0 then 'owner' when 1 then 'admin' else 'user' end
          from story.members`);
      await run(`
        insert into steward_app.personal_connections (member_id, organization_id, state, zoom_account_id, zoom_user_id)
        select member_id, ${organization}, 'connected', 'acc_personal_' || i, 'personal_' || i from story.members where personal`);
      await run(`
        insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
        select id, ${organization}, kind, host_member_id, title from story.event_types`);
      await wrote(trx, 'event types');
      await run(`
        insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id, active)
        select e, h, ${organization}, a from (
          select ${idOf('robin')} e, ${host(5)} h, true a from ${everyTenth}
          union all select ${idOf('robin')}, ${host(6)}, true from ${everyTenth}
          union all select ${idOf('robin')}, ${host(7)}, false from ${everyTenth}
          union all select ${idOf('template')}, ${host(8)}, true from ${everyTenth}
          union all select ${idOf('collective')}, ${host(9)}, true from ${everyTenth}) x`);
      await run(`
        insert into steward_app.bookings (id, organization_id, event_type_id, host_member_id, starts_at)
        select ${idOf('booking')}, ${organization}, ${idOf('solo')}, ${memberAt('i')}, now() + interval '3 days' + i * interval '1 second'
          from ${series(Math.floor((members - 1) / 20))}`);
    },
  ).then(() => runSideBySide(db, snapshots.ofTheRest));
  // Whoever waits for them hears of a failure.
  remembered.catch(() => {});
  await rest;
  const { rows } = await sql<{ organization: string; owner: string }>`
    select md5(${`${seed}:organization`})::uuid as organization, (select member_id from story.members where i = 0) as owner`.execute(
    db,
  );
  const row = rows[0];
  if (!row) throw new Error('The world was not written');
  return {
    members,
    seed,
    name,
    organizationId: row.organization,
    ownerId: row.owner,
    located,
    remembered,
  };
}

const runSideBySide = (db: Database, statements: readonly string[]): Promise<void> =>
  allSettled(statements.map((statement) => sql.raw(statement).execute(db)));

/** Users of the demo's Zoom account by rule, as the simulator takes them: the other side of `zoomKind`. */
export function zoomUserPattern(members: number) {
  return {
    count: members,
    id: 'zu_{n}',
    email: `member-{n}@${domain}`,
    cycle: Array.from({ length: 100 }, (_, n) => {
      const at = placeOf(n);
      if (at <= twinPlace) return null;
      if (at <= 11) return { status: 'pending' as const };
      if (at === 12) return { status: 'inactive' as const };
      if (at <= 14) return { type: 4 };
      return { type: at <= 24 ? 1 : 2 };
    }),
  };
}

/** The users that the rule leaves out: one for each pair of members who share an address, and the odd one without a twin. */
export async function otherZoomUsers(db: Database): Promise<{ id: string; email: string }[]> {
  const { rows } = await sql<{ id: string; email: string }>`
    select 'zu_' || min(i) as id, address as email from story.members where ${sql.raw(place)} = ${twinPlace} group by address order by min(i)`.execute(
    db,
  );
  return rows;
}
