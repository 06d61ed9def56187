import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { load } from './load.ts';

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
  /** Resolves when event types and locations are there as well: most of what a world takes. */
  readonly filled: Promise<void>;
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
 * The story's own account of everybody and everything, written beside the product's tables and read only by the checks.
 * Of 100 members: 9 have no Zoom user, 1 shares an address with another, 2 are pending, 1 inactive,
 * 2 have no meeting licence, 10 are basic, the rest licensed. Every tenth has a personal Zoom. A step of 29 through
 * the hundred mixes them, so that ten members are a story already.
 */
const storySql = `
  create schema if not exists story;
  create unlogged table story.members (
    i int primary key, member_id uuid not null, address text not null, zoom text not null, personal boolean not null);
  -- Of those who serve an event type: whether anybody has a personal Zoom, and whether anybody can host at all.
  create unlogged table story.event_types (
    id uuid not null, kind text not null, has_zoom boolean not null, host_member_id uuid, title text not null,
    personal boolean not null, can_host boolean not null);
  -- The transaction that wrote the rows of a table, all of them, and its time.
  create table story.writers (what text primary key, xid xid not null, at timestamptz not null);
  -- What comes of the story as it goes on.
  create table story.named (name text primary key, id uuid not null);
  create table story.numbers (name text primary key, number bigint not null);
  create table story.secrets (value text primary key);
  create table story.findings (rule text not null, detail text not null);
  create table story.queue_content (place text not null, content text);
`;

/**
 * The locations of every event type: Zoom between two others, where it has Zoom. Ids are as good as random, so that neighbours
 * in one index are none in another. Of details there are as many as first three digits of an id: each is made once.
 */
const locationId = (position: number) =>
  `encode(int8send(uuid_hash_extended(e.id, ${2 * position})) || int8send(uuid_hash_extended(e.id, ${2 * position + 1})), 'hex')::uuid`;
const locationsSql = (organization: string) => `
  create unlogged table story.details as
    select key, jsonb_build_object('address', 'Room ' || key, 'note', 'Ring twice – “café”') as room,
           jsonb_build_object('phone', '+49 30 123' || key) as phone
      from (select lpad(to_hex(n), 3, '0') as key from generate_series(0, 4095) n) k;
  analyze story.details;
  create view story.locations as
    select ${locationId(0)} as id, e.id as event_type_id, ${organization} as organization_id, 0 as position, 'physical' as kind, d.room as details, e.personal, e.can_host
      from story.event_types e join story.details d on d.key = left(e.id::text, 3)
    union all
    select ${locationId(1)}, e.id, ${organization}, 1, 'zoom_conference', '{}', e.personal, e.can_host from story.event_types e where e.has_zoom
    union all
    select ${locationId(2)}, e.id, ${organization}, 2, 'outbound_call', d.phone, e.personal, e.can_host
      from story.event_types e join story.details d on d.key = left(e.id::text, 3);
  create table story.location_counts as
    select kind, n from (select count(*) as all, count(*) filter (where has_zoom) as zoom from story.event_types) e
     cross join lateral (values ('physical', e.all), ('zoom_conference', zoom), ('outbound_call', e.all)) k (kind, n)`;

/** Remembers which transaction wrote the rows of a table. */
const wrote = (trx: Database, what: string): Promise<unknown> =>
  sql`insert into story.writers values (${what}, pg_current_xact_id()::xid, now())`.execute(trx);

const step = 29;
const placeOf = (i: number): number => (i * step) % 100;
const twinPlace = 9;

/** What Zoom knows of member number i, of `members`. */
const zoomOf = (i: string): string => {
  const place = `(${i} * ${step} % 100)`;
  return `case
    when ${place} < ${twinPlace} then 'none'
    when ${place} = ${twinPlace} then case when (${i} / 100) % 2 = 0 and ${i} + 100 >= members then 'licensed' else 'ambiguous' end
    when ${place} in (10, 11) then 'pending'
    when ${place} = 12 then 'inactive'
    when ${place} in (13, 14) then 'no_licence'
    when ${place} between 15 and 24 then 'basic'
    else 'licensed' end`;
};
const hasPersonal = (i: string): string => `${i} % 10 = 7`;
const canHost = (i: string): string => `${hasPersonal(i)} or ${zoomOf(i)} in ('licensed', 'basic')`;
/** Whether it is true of any of them. */
const anyOf = (is: (i: string) => string, people: readonly string[]): string =>
  people.map((i) => `(${is(i)})`).join(' or ');

/**
 * Fills steward_app with one organization, and the schema story with what is true of it. Its people are there when this
 * resolves; event types and locations, which are most of it, follow on a connection of their own.
 */
export async function seedWorld(db: Database, { members, seed }: WorldSize): Promise<World> {
  if (!Number.isInteger(members) || members < fewestMembers)
    throw new Error(`The demo's world needs at least ${fewestMembers} members, got ${members}`);
  const name = 'Northwind';
  const organization = `md5('${seed}:organization')::uuid`;
  const series = (to: number, from = 0) => `(select i, ${members} as members from generate_series(${from}, ${to}) i) s`;
  const everyTenth = series(Math.floor((members - 1) / 10));
  const all = series(members - 1);
  const idOf = idBySeed(seed);
  /** number of a member among the ten that share an event type */
  const ofTen = (offset: number) => `((i * 10 + ${offset}) % members)`;
  const host = (offset: number) => idOf('member', ofTen(offset));
  await sql.raw(storySql).execute(db);

  async function fillPeople(): Promise<void> {
    await load(db, ['story.members'], async (trx) => {
      // Member 0 is the owner; nobody of the story is unverified, so that every reason has one cause.
      await sql
        .raw(`
        insert into story.members
        select i, ${idOf('member')},
               case when (${zoomOf('i')}) = 'ambiguous' then 'twin-' || (i / 200) || '@${domain}' else 'member-' || i || '@${domain}' end,
               ${zoomOf('i')}, ${hasPersonal('i')}
          from ${all}`)
        .execute(trx);
    });
    await load(
      db,
      ['steward_app.organizations', 'steward_app.members', 'steward_app.personal_connections'],
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
        await wrote(trx, 'personal connections');
      },
    );
  }

  /** An event type with Zoom, served by one of these members; `hostId` is named on it. */
  const served = (kind: (typeof kinds)[number], as: string, hostId: string, title: string, people: readonly string[]) =>
    `select ${idOf(kind)}, '${as}', true, ${hostId}, '${title}', ${anyOf(hasPersonal, people)}, ${anyOf(canHost, people)}`;

  async function fillEventTypes(): Promise<void> {
    // Two event types a member, one with Zoom between two other locations; shared ones for every tenth.
    await load(db, [], async (trx) => {
      await sql
        .raw(`
        insert into story.event_types
        ${served('solo', 'solo', idOf('member'), '30 minutes', ['i'])} from ${all}
        union all select ${idOf('plain')}, 'solo', false, ${idOf('member')}, 'Visit', false, false from ${all}
        union all ${served('group', 'group', host(1), 'Class', [ofTen(1)])} from ${everyTenth}
        union all ${served('managed', 'managed', host(2), 'Sales call', [ofTen(2)])} from ${everyTenth}
        union all ${served('template', 'template', host(3), 'Template', [ofTen(3)])} from ${everyTenth} where i % 2 = 0
        union all ${served('template', 'template', 'null', 'Template', [ofTen(8)])} from ${everyTenth} where i % 2 = 1
        union all ${served('robin', 'round_robin', 'null', 'Support', [ofTen(5), ofTen(6)])} from ${everyTenth}
        union all ${served('collective', 'collective', host(4), 'Panel', [ofTen(4)])} from ${everyTenth}`)
        .execute(trx);
    });
    await load(db, ['steward_app.event_types', 'steward_app.event_type_hosts', 'steward_app.bookings'], async (trx) => {
      const run = (text: string) => sql.raw(text).execute(trx);
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
          select ${idOf('booking')}, ${organization}, ${idOf('solo')}, ${idOf('member')}, now() + interval '3 days' + i * interval '1 second'
            from ${series(Math.floor((members - 1) / 20))}`);
    });
  }

  async function fillLocations(): Promise<void> {
    await sql.raw(locationsSql(organization)).execute(db);
    await load(db, ['steward_app.locations'], async (trx) => {
      await sql`
        insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
        select id, event_type_id, organization_id, position, kind, details from story.locations`.execute(trx);
      await wrote(trx, 'locations');
    });
  }

  const filled = fillEventTypes().then(fillLocations);
  // Whoever waits for it hears of a failure.
  filled.catch(() => {});
  await fillPeople();
  const { rows } = await sql<{ organization: string; owner: string }>`
    select md5(${`${seed}:organization`})::uuid as organization, (select member_id from story.members where i = 0) as owner`.execute(
    db,
  );
  const row = rows[0];
  if (!row) throw new Error('The world was not written');
  return { members, seed, name, organizationId: row.organization, ownerId: row.owner, filled };
}

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
    select 'zu_' || min(i) as id, address as email from story.members where i * ${step} % 100 = ${twinPlace} group by address order by min(i)`.execute(
    db,
  );
  return rows;
}
