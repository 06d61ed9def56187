/**
 * What must be true, as plain SQL written from the story (schema story) – no call of the engine.
 * Each query returns the violations; none means the check holds. `damage` makes exactly that check fail.
 */
export type Check = {
  readonly name: string;
  /** moment of the story at which it is asked */
  readonly at: Moment;
  readonly says: string;
  /** rows are violations */
  readonly sql: string;
  /** SQL that breaks what the check guards, and nothing another check of the same moment looks at */
  readonly damage: string;
};

/** Moments of the story at which checks are asked, in order. */
export const moments = [
  'fanned_out',
  'joined',
  'personal_connected',
  'personal_disconnected',
  'at_risk',
  'interrupted',
  'resumed',
  'reconnected',
  'disconnected',
  'restored',
  'end',
] as const;
export type Moment = (typeof moments)[number];

const someone = (where: string): string => `(select member_id from story.members where ${where} order by i limit 1)`;

/**
 * What differs between two sets of (id, says): what the story tells, and what is there. Both are added up, as hashes of
 * their rows; row by row they are compared only where the sums differ, as to join millions takes many times as long.
 */
const differences = (told: string, there: string): string => `
  with told as not materialized (${told}), there as not materialized (${there}),
  sums as materialized (
    select (select row (count(*), sum(hash_record_extended(row (t.id, t.says), 0))) from told t)
           is distinct from (select row (count(*), sum(hash_record_extended(row (a.id, a.says), 0))) from there a) as differ)
  select coalesce(t.id, a.id) as id, case when a.id is null then 'is missing' when t.id is null then 'is unexpected' else 'differs' end as what,
         t.says as told, a.says as there
    from told t full join there a on a.id = t.id
   where (select differ from sums) and (t.id is null or a.id is null or t.says is distinct from a.says)
  union all
  -- By itself if one is there twice.
  select null, 'the sums differ', null, null from sums where differ`;

/** Of everybody: what the story tells, and what is stored. */
const ofMembers = (told: string, stored: string): string =>
  differences(
    `select m.member_id as id, ${told} as says from story.members m`,
    `select c.member_id as id, ${stored} as says from steward.member_connections c`,
  );

const served = (whoElse: string): string => `case when m.personal then 'personal' else '${whoElse}' end`;

const hostingAsTold = `case when m.personal then 'can_host' else
  case m.zoom when 'none' then 'no_zoom_user' when 'pending' then 'zoom_user_pending' when 'inactive' then 'zoom_user_inactive'
              when 'no_licence' then 'no_meeting_licence' when 'ambiguous' then 'ambiguous_match' else 'can_host' end end`;

/**
 * A version of a row is never written again in place: whatever writes a row, also with equal values, makes another version,
 * which names the transaction that did. So rows that still name the one that filled the table are byte for byte what was filled in.
 */
const writer = (what: string): string => `(select xid from story.writers where what = '${what}')`;

/** Rows that are not what they were: written since, or gone. Which ones, is looked for only where a count says that there are any. */
const written = (table: string, where: string, what: string, told: { count: string; rows: string }): string => `
  with counted as materialized (
    select count(*) filter (where l.xmin = ${writer(what)}) as unwritten, count(*) as n from ${table} l where ${where}),
  found as materialized (select unwritten <> n as written, unwritten is distinct from (${told.count}) as fewer from counted)
  select l.id, 'was written' as what from ${table} l where (select written from found) and ${where} and l.xmin is distinct from ${writer(what)}
  union all
  select null, 'some are gone' from found where fewer
  union all
  select b.id, 'is gone' from (${told.rows}) b where (select fewer from found) and not exists (select from ${table} l where l.id = b.id)`;

const writtenLocations = (where: string): string =>
  written('steward_app.locations', where, 'locations', {
    count: `select sum(n) from story.location_counts where ${where}`,
    rows: `select id from story.locations where ${where}`,
  });

/** The values of locations that the story tells of, against those that are there. */
const locationsDiffer = (told: string, there: string): string =>
  differences(
    `select l.id, row (l.id, event_type_id, organization_id, position, kind, details, at, at)::steward_app.locations as says
       from story.locations l, story.writers where ${told} and what = 'locations'`,
    `select l.id, l as says from steward_app.locations l where ${there}`,
  );

const zoom = `kind = 'zoom_conference'`;
const others = `kind <> 'zoom_conference'`;
const nothingMoved = (at: Moment): Check => ({
  name: `nothing removed: ${at.replaceAll('_', ' ')}`,
  at,
  says: 'every location is there, byte for byte, and no row was written',
  sql: writtenLocations('true'),
  damage: `delete from steward_app.locations where id = (select id from steward_app.locations where kind = 'zoom_conference' order by id limit 1)`,
});

export const checks: readonly Check[] = [
  {
    name: 'everyone is served',
    at: 'fanned_out',
    says: 'members with a personal Zoom keep it, all others have the organization’s',
    sql: ofMembers(served('organization'), 'c.effective'),
    damage: `update steward.member_connections set effective = 'none' where member_id = ${someone('not personal')}`,
  },
  {
    name: 'hosting has its reason',
    at: 'fanned_out',
    says: 'who has no Zoom user, a pending, inactive, unlicensed or ambiguous one cannot host, and it says why',
    sql: ofMembers(hostingAsTold, 'c.hosting'),
    damage: `update steward.member_connections set hosting = 'no_zoom_user' where member_id = ${someone(`not personal and zoom = 'licensed'`)}`,
  },
  {
    name: 'basic users are flagged',
    at: 'fanned_out',
    says: 'exactly the basic Zoom users carry the 40-minute flag',
    sql: ofMembers(`m.zoom = 'basic' and not m.personal`, 'c.basic_plan'),
    damage: `update steward.member_connections set basic_plan = not basic_plan where member_id = ${someone('not personal')}`,
  },
  nothingMoved('fanned_out'),
  {
    name: 'the joiner is served',
    at: 'joined',
    says: 'the new member has the organization’s Zoom and can host',
    sql: `select 'joiner' as who where not exists (
            select from steward.member_connections c join story.named n on n.name = 'joiner' and n.id = c.member_id
             where c.effective = 'organization' and c.hosting = 'can_host')`,
    damage: `delete from steward.member_connections where member_id = (select id from story.named where name = 'joiner')`,
  },
  {
    name: 'personal takes over',
    at: 'personal_connected',
    says: 'the member who connected a personal Zoom is served by it, nobody else changed',
    sql: ofMembers(
      `case when m.personal or m.member_id = (select id from story.named where name = 'mover') then 'personal' else 'organization' end`,
      'c.effective',
    ),
    damage: `update steward.member_connections set effective = 'organization' where member_id = (select id from story.named where name = 'mover')`,
  },
  {
    name: 'the organization takes back',
    at: 'personal_disconnected',
    says: 'after the personal Zoom is gone the organization’s serves again, by itself',
    sql: ofMembers(served('organization'), 'c.effective'),
    damage: `update steward.member_connections set effective = 'none' where member_id = (select id from story.named where name = 'mover')`,
  },
  {
    name: 'at risk, and nothing else',
    at: 'at_risk',
    says: 'the connection is active and says what is missing; no clock runs',
    sql: `select state, at_risk_reason from steward.org_connections where not (state = 'active' and at_risk_reason is not null and deadline_at is null)`,
    damage: `update steward.org_connections set at_risk_reason = null`,
  },
  nothingMoved('at_risk'),
  {
    name: 'interrupted, told, still served',
    at: 'interrupted',
    says: 'the state is interrupted, owners were told, members stay served and hosting says interrupted',
    sql: `select 'state ' || state as what from steward.org_connections where state <> 'interrupted'
          union all select 'not told' where not exists (select from steward.events where type = 'connection.interrupted')
          union all select concat('member ', id, ' ', what) from (${ofMembers(
            `case when m.personal then 'personal can_host' else 'organization interrupted' end`,
            `c.effective || ' ' || c.hosting`,
          )}) m`,
    damage: `update steward.member_connections set hosting = 'can_host' where member_id = ${someone('not personal')}`,
  },
  nothingMoved('interrupted'),
  {
    name: 'resumed by itself',
    at: 'resumed',
    says: 'active again without anybody’s click; hosting as before',
    sql: `select 'state ' || state as what from steward.org_connections where state <> 'active' or at_risk_reason is not null or deadline_at is not null
          union all select concat('member ', id, ' ', what) from (${ofMembers(hostingAsTold, 'c.hosting')}) m`,
    damage: `update steward.org_connections set deadline_at = now()`,
  },
  {
    name: 'another admin reconnects',
    at: 'reconnected',
    says: 'same connection id, same settings, another authorizing user, active',
    sql: `select c.state, g.zoom_user_id from steward.org_connections c left join steward.grants g on g.id = c.grant_id
           where not (c.state = 'active' and c.id = (select id from story.named where name = 'connection') and g.zoom_user_id = 'zu_admin_2' and g.state = 'living')`,
    damage: `update steward.org_connections set grant_id = (select id from steward.grants where zoom_user_id = 'zu_admin_1')`,
  },
  {
    name: 'the earlier meeting was changed',
    at: 'reconnected',
    says: 'the meeting made before the hand-over is still ours to change',
    sql: `select 'no meeting' as what where not exists (
            select from steward.meetings m join story.named n on n.name = 'meeting' and n.id = m.id
             where m.deleted_at is null and m.connection_id = (select id from story.named where name = 'connection'))
          union all select 'not changed at Zoom' where not exists (select from story.named where name = 'meeting_changed')`,
    damage: `update steward.meetings set deleted_at = now() where id = (select id from story.named where name = 'meeting')`,
  },
  nothingMoved('reconnected'),
  {
    name: 'Zoom is gone where nobody serves it',
    at: 'disconnected',
    says: 'exactly the Zoom locations without a personal server are gone',
    sql: differences(
      `select id, '' as says from story.locations where ${zoom} and personal`,
      `select id, '' as says from steward_app.locations where ${zoom}`,
    ),
    damage: `insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
             select gen_random_uuid(), event_type_id, organization_id, 1, kind, details from story.locations where ${zoom} and not personal order by id limit 1`,
  },
  {
    name: 'every other location is unchanged',
    at: 'disconnected',
    says: 'byte for byte, and no row was rewritten',
    sql: writtenLocations(others),
    damage: `update steward_app.locations set details = details where id = (select id from steward_app.locations where ${others} order by id limit 1)`,
  },
  {
    name: 'no event type was written',
    at: 'disconnected',
    says: 'event types keep their row versions',
    sql: written('steward_app.event_types', 'true', 'event types', {
      count: 'select count(*) from story.event_types',
      rows: 'select id from story.event_types',
    }),
    damage: `update steward_app.event_types set title = title where id = (select id from steward_app.event_types order by id limit 1)`,
  },
  {
    name: 'what was removed is archived',
    at: 'disconnected',
    says: 'one copy for each removed location, the whole row and its place',
    sql: differences(
      `select id, position as says from story.locations where ${zoom} and not personal`,
      `select (content ->> 'id')::uuid as id, place as says from steward.archived_locations`,
    ),
    damage: `delete from steward.archived_locations where id = (select id from steward.archived_locations order by id limit 1)`,
  },
  {
    name: 'members are left as the story says',
    at: 'disconnected',
    says: 'personal ones are still served, all others by nobody; personal Zoom was not touched',
    sql: `select concat('member ', id, ' ', what) as what from (${ofMembers(served('none'), 'c.effective')}) m
          union all select 'personal connection of ' || m.member_id from story.members m
            left join steward_app.personal_connections p on p.member_id = m.member_id
           where m.personal and p.xmin is distinct from ${writer('personal connections')}`,
    damage: `update steward_app.personal_connections set state = 'broken' where member_id = ${someone('personal')}`,
  },
  {
    name: 'meetings are marked detached',
    at: 'disconnected',
    says: 'booked meetings of the connection keep their links and are marked; no other booking is',
    sql: `select id from steward_app.bookings where (detached_at is not null) <> (meeting_connection_id = (select id from story.named where name = 'connection')) is true
          or (meeting_connection_id is not null and join_url is null)
          union all select null where not exists (select from steward_app.bookings where meeting_connection_id is not null)`,
    damage: `update steward_app.bookings set detached_at = null where meeting_connection_id is not null`,
  },
  {
    name: 'the grant is gone',
    at: 'disconnected',
    says: 'the connection says none, secrets are deleted',
    sql: `select 'state ' || state as what from steward.org_connections where state not in ('none', 'pending') or grant_id is not null
          union all select 'secrets of ' || zoom_user_id from steward.grants where sealed_access is not null or sealed_refresh is not null`,
    damage: `update steward.org_connections set state = 'active'`,
  },
  {
    name: 'the preview was right',
    at: 'disconnected',
    says: 'the numbers shown before are the numbers of what happened',
    sql: `select 'previewed ' || previewed.number || ', removed ' || gone.count as what
            from (select filled.n - (select count(*) from steward_app.locations where ${zoom} and xmin = ${writer('locations')}) as count
                    from story.location_counts filled where ${zoom}) gone
            left join story.numbers previewed on previewed.name = 'previewed_removals' where previewed.number is distinct from gone.count`,
    damage: `update story.numbers set number = number + 1 where name = 'previewed_removals'`,
  },
  {
    name: 'everything came back',
    at: 'restored',
    says: 'every Zoom location is back with its id, place, details and timestamps',
    sql: locationsDiffer(`${zoom} and can_host`, zoom),
    damage: `update steward_app.locations set position = 9 where id = (
               select id from steward_app.locations where ${zoom} order by id limit 1)`,
  },
  {
    name: 'others are unchanged after restore',
    at: 'restored',
    says: 'byte for byte, and still no row was rewritten',
    // Here, after all that happened, the bytes are compared as well.
    sql: `select id, what from (${writtenLocations(others)}) w union all select id, what from (${locationsDiffer(others, others)}) d`,
    damage: `update steward_app.locations set updated_at = updated_at where id = (select id from steward_app.locations where ${others} order by id limit 1)`,
  },
  {
    name: 'one refresh at a time',
    at: 'end',
    says: 'no grant had two refreshes under way, and no attempt was left open',
    sql: `select a.id from steward.refresh_attempts a join steward.refresh_attempts b on a.grant_id = b.grant_id and a.id < b.id
           where a.started_at < b.ended_at and b.started_at < a.ended_at and a.outcome <> 'not_sent' and b.outcome <> 'not_sent'
          union all select id from steward.refresh_attempts where outcome is null`,
    damage: `insert into steward.refresh_attempts (id, grant_id, version, holder, cause, started_at, deadline_at, next_at)
             select gen_random_uuid(), id, version, 'damage', 'needed', now(), now(), now() from steward.grants limit 1`,
  },
  {
    name: 'no secret outside the vault',
    at: 'end',
    says: 'no link, state, code, access or refresh token in outbox, events, audit, runs, links, attempts, candidates, grants or the queue on Postgres',
    sql: `select place from (
            select 'outbox' as place, o::text as content from steward.outbox o
            -- What is text of them, many a text: to look for many secrets in each of a million takes six times as long.
            union all select 'events', bundle.content
              from generate_series(0, (select coalesce(max(seq), 0) / 1000 from steward.events)) n
             cross join lateral (select string_agg(e.type || e.data, ' ') as content from steward.events e where e.seq between n * 1000 and n * 1000 + 999) bundle
            union all select 'batches of events', b::text from steward.event_batches b
            union all select 'audit', a::text from steward.audit_log a union all select 'runs', r::text from steward.runs r
            union all select 'candidates', c::text from steward.candidates c union all select 'attempts', a::text from steward.connect_attempts a
            union all select 'links', l::text from steward.connect_links l union all select 'grants', g::text from steward.grants g
            union all select 'queue ' || place, content from story.queue_content) everywhere
           where exists (select from story.secrets where strpos(content, value) > 0) group by place
          union all select 'nothing to look for' where (select count(*) from story.secrets) < 12`,
    damage: `insert into steward.audit_log (actor, action, reason, at) select 'app', 'damage', 'token ' || value, now() from story.secrets limit 1`,
  },
  {
    name: 'nothing is left to reconcile',
    at: 'end',
    says: 'the plan of the whole organization found no difference',
    sql: `select 'not planned' as what where not exists (select from story.numbers where name = 'plan_changes')
          union all select number || ' differences' from story.numbers where name = 'plan_changes' and number <> 0`,
    damage: `update story.numbers set number = 1 where name = 'plan_changes'`,
  },
  {
    name: 'Zoom has nothing to complain of',
    at: 'end',
    says: 'the ledger of every call was judged: no doubled refresh, no token in a URL, no call with a dead token beyond the first',
    sql: `select 'not judged' as what where not exists (select from story.numbers where name = 'judged_calls' and number > 0)
          union all select rule || ': ' || detail from story.findings`,
    damage: `insert into story.findings values ('damage', 'planted')`,
  },
  {
    name: 'every act is in the audit log',
    at: 'end',
    says: 'connecting, confirming, interrupting, resuming, disconnecting and restoring each left an entry with an actor',
    sql: `select wanted from unnest(array['connection.verdict_confirmed', 'connection.failed_second_look', 'connection.verification_passed', 'connection.disconnect', 'connection.cascade_finished', 'locations.restore_accepted']) wanted
           where not exists (select from steward.audit_log where action = wanted and actor <> '')`,
    damage: `delete from steward.audit_log where action = 'connection.disconnect'`,
  },
];
