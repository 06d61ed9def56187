-- What it is given. Volatile in name only: a sub-select that has it among its columns is planned by itself, so that what is worked
-- out there is worked out once a row, and not wherever it is asked. Unlike a fence of `offset 0` it keeps no parallel workers out.
create or replace function steward.once(value text) returns text
language sql volatile parallel safe
return value;

-- What stored facts say of everybody of an organization who serves: whether their Zoom goes, and whether they can host.
drop function if exists steward.stored_servers(uuid, text, boolean, boolean, text, boolean, boolean, boolean);
create or replace function steward.stored_servers(organization uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean, has_shared_host boolean)
returns table (member_id uuid, takes boolean, can_host boolean)
language sql stable parallel safe as $$
  select r.member_id, steward.rule_takes_zoom(r.reason),
         steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, has_shared_host) = 'can_host'
    from (
      select f.member_id, f.match, f.zoom_status, f.zoom_type,
             steward.once(steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out)) as reason
        from steward.member_facts f where f.organization_id = organization) r
$$;

-- The same, and beside it whether they could host before what is assumed: from one reading of the stored facts.
create or replace function steward.stored_servers_beside(
  organization uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean,
  now_state text, now_ever_disconnected boolean, now_allow_opt_out boolean, has_shared_host boolean)
returns table (member_id uuid, takes boolean, can_host boolean, could_host boolean)
language sql stable parallel safe as $$
  select r.member_id, steward.rule_takes_zoom(r.reason),
         steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, has_shared_host) = 'can_host',
         steward.rule_hosting(r.now_reason, now_state, r.match, r.zoom_status, r.zoom_type, has_shared_host) = 'can_host'
    from (
      select f.member_id, f.match, f.zoom_status, f.zoom_type,
             steward.once(steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out)) as reason,
             steward.once(steward.rule_reason(f.active, f.personal, now_state, now_ever_disconnected, f.in_rollout, f.opted_out and now_allow_opt_out)) as now_reason
        from steward.member_facts f where f.organization_id = organization) r
$$;

-- Whether an organization has so much of the tables that a plan set against set reads whole – nothing keys locations by
-- organization but those that are Zoom – that reading them costs less than looking up what it has by key: not more than a
-- page for four of its Zoom locations and copies, or 1 MB. By their size on disk, which is known without statistics; of a
-- view, or of what lies elsewhere, nothing is known, and nothing is read whole.
create or replace function steward.worth_whole_tables(organization uuid) returns boolean
language plpgsql stable
set plan_cache_mode = 'force_custom_plan'
-- Counted as far as it takes, by key: under a limit a scan of everybody's locations can look cheaper.
set enable_seqscan = off
as $$
declare
  pages record;
  needed bigint;
begin
  select (pg_relation_size('steward_app.locations'::regclass)
          + (select coalesce(sum(pg_relation_size(p.relid)), 0) from pg_partition_tree('steward_app.locations'::regclass) p)) / 8192 as locations,
         pg_relation_size('steward.event_type_flags'::regclass) / 8192 as flags
    into pages;
  if coalesce(pages.locations, 0) = 0 then return false; end if;
  needed := (pages.locations + pages.flags - 128) * 4;
  return needed <= 0 or needed = (
    select count(*) from (
      (select from steward_app.locations l where l.organization_id = organization and l.kind = 'zoom_conference' limit needed)
      union all
      (select from steward.archived_locations a where a.organization_id = organization limit needed)
      limit needed) k);
end $$;

-- Of steward.location_facts, as JSON, what these questions need: told and not asked again, as with nested loops off the whole
-- directory would be read for its shared host.
create or replace function steward.told_facts(
  told jsonb, out org_state text, out ever_disconnected boolean, out disconnected boolean, out allow_opt_out boolean, out shared_host text,
  out restore_generations bigint[], out fallback jsonb)
language sql immutable parallel safe as $$
  select t.* from jsonb_to_record(told) as t (org_state text, ever_disconnected boolean, disconnected boolean, allow_opt_out boolean,
                                              shared_host text, restore_generations bigint[], fallback jsonb)
$$;

-- What a look said of those whose stored facts are doubtful. `distinct` says that each is there once: of a list of unknown ids the
-- planner thinks that they are much alike, and would compare all with all of them rather than have parallel workers do so.
create or replace function steward.looked_servers(looked_at uuid[], looked_takes boolean[], looked_can_host boolean[], looked_could_host boolean[])
returns table (member_id uuid, takes boolean, can_host boolean, could_host boolean)
language sql immutable parallel safe as $$
  select distinct on (u.member_id) u.*
    from unnest(looked_at, looked_takes, looked_can_host, looked_could_host) as u (member_id, takes, can_host, could_host)
$$;

-- The same of event types that go by their hosts: of those that have any.
create or replace function steward.stored_hosted(
  organization uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean,
  now_state text, now_ever_disconnected boolean, now_allow_opt_out boolean, has_shared_host boolean,
  looked_at uuid[], looked_takes boolean[], looked_can_host boolean[], looked_could_host boolean[])
returns table (event_type_id uuid, kept boolean, can_host bigint, could_host bigint)
language sql stable parallel safe as $$
  select e.id, bool_or(not coalesce(l.takes, s.takes, true)),
         count(*) filter (where coalesce(l.can_host, s.can_host)), count(*) filter (where coalesce(l.could_host, s.could_host))
    from steward_app.event_types e
    join steward_app.event_type_hosts h on h.organization_id = organization and h.event_type_id = e.id and h.active
    left join steward.stored_servers_beside(organization, org_state, ever_disconnected, allow_opt_out,
                                            now_state, now_ever_disconnected, now_allow_opt_out, has_shared_host) s on s.member_id = h.member_id
    left join steward.looked_servers(looked_at, looked_takes, looked_can_host, looked_could_host) l on l.member_id = h.member_id
   where e.organization_id = organization and (e.kind = 'round_robin' or e.kind = 'template' and e.host_member_id is null)
   group by e.id
$$;

-- Of the event types that have Zoom, how many there are of each sort, and ids of those that a plan tells of. Each of its statements
-- is one that parallel workers may take: nothing but hash joins of tables, and a handful of groups, by booleans as the planner
-- must know that they are few.
create or replace function steward.plan_zoom_sets(
  organization uuid, told_facts jsonb, told_now jsonb, looked_at uuid[], looked_takes boolean[], looked_can_host boolean[], looked_could_host boolean[])
returns table (kind text, goes boolean, flagged boolean, unserved boolean, fewer boolean, event_types bigint, ids uuid[])
language plpgsql stable as $$
#variable_conflict use_column
declare
  facts record := steward.told_facts(told_facts);
  now record := steward.told_facts(told_now);
begin
  -- Those that their owner serves.
  return query
  select d.kind, d.goes, d.flagged, d.unserved, false, count(*), array_agg(d.id) filter (where d.goes or d.flagged or d.unserved)
    from (
      select e.id, e.kind, coalesce(l.takes, s.takes, true) as goes, f.event_type_id is not null as flagged,
             not coalesce(l.can_host, s.can_host, false) as unserved
        from steward_app.event_types e
        left join steward.stored_servers(organization, facts.org_state, facts.ever_disconnected, facts.allow_opt_out, facts.shared_host is not null) s
               on s.member_id = e.host_member_id
        left join steward.looked_servers(looked_at, looked_takes, looked_can_host, looked_could_host) l on l.member_id = e.host_member_id
        left join steward.event_type_flags f on f.event_type_id = e.id
       where e.organization_id = organization
         and e.kind in ('solo', 'group', 'managed', 'collective', 'template') and e.host_member_id is not null
         and exists (select from steward_app.locations z
                      where z.organization_id = organization and z.kind = 'zoom_conference' and z.event_type_id = e.id)) d
   group by 1, 2, 3, 4;
  -- Those that their hosts serve, or nobody.
  return query
  select d.kind, d.goes, d.flagged, d.unserved, d.fewer, count(*), array_agg(d.id) filter (where d.goes or d.flagged or d.unserved or d.fewer)
    from (
      select e.id, e.kind, not coalesce(h.kept, not facts.disconnected) as goes, f.event_type_id is not null as flagged,
             coalesce(h.can_host, 0) = 0 as unserved,
             e.kind = 'round_robin' and coalesce(h.can_host, 0) < coalesce(h.could_host, 0) as fewer
        from steward_app.event_types e
        left join steward.stored_hosted(organization, facts.org_state, facts.ever_disconnected, facts.allow_opt_out,
                                        now.org_state, now.ever_disconnected, now.allow_opt_out, facts.shared_host is not null,
                                        looked_at, looked_takes, looked_can_host, looked_could_host) h on h.event_type_id = e.id
        left join steward.event_type_flags f on f.event_type_id = e.id
       where e.organization_id = organization
         and (e.kind in ('solo', 'group', 'managed', 'collective', 'template') and e.host_member_id is not null) is not true
         and exists (select from steward_app.locations z
                      where z.organization_id = organization and z.kind = 'zoom_conference' and z.event_type_id = e.id)) d
   group by 1, 2, 3, 4, 5;
end $$;

-- Event types with more than one Zoom location, if the organization has more of these than so many.
create or replace function steward.several_zoom(organization uuid, than bigint)
returns table (event_type_id uuid, zoom bigint)
language plpgsql stable as $$
#variable_conflict use_column
begin
  -- As a rule there is one in each: to count them is a tenth of what grouping them costs.
  if (select count(*) from steward_app.locations l where l.organization_id = organization and l.kind = 'zoom_conference') > than then
    return query
    select l.event_type_id, count(*) from steward_app.locations l
     where l.organization_id = organization and l.kind = 'zoom_conference' group by l.event_type_id having count(*) > 1;
  end if;
end $$;

-- Event types that have nothing but Zoom.
create or replace function steward.only_zoom_sets(organization uuid) returns setof uuid
language plpgsql stable as $$
begin
  return query
  select distinct z.id
    from (
      select l.event_type_id as id from steward_app.locations l
       where l.organization_id = organization and l.kind = 'zoom_conference'
         and not exists (select from steward_app.locations o where o.event_type_id = l.event_type_id and o.kind <> 'zoom_conference')) z;
end $$;

-- Of the event types without Zoom, what could have it back or is flagged.
create or replace function steward.plan_copies_sets(
  organization uuid, told_facts jsonb, looked_at uuid[], looked_takes boolean[], looked_can_host boolean[], looked_could_host boolean[])
returns table (todo text, kind text, id uuid, zoom bigint)
language plpgsql stable as $$
#variable_conflict use_column
declare
  facts record := steward.told_facts(told_facts);
  at constant timestamptz := steward.now();
begin
  if not exists (select from steward.archived_locations a where a.organization_id = organization)
     and not exists (select from steward.event_type_flags f where f.organization_id = organization) then
    return;
  end if;
  return query
  with asked as materialized (
    select e.id, e.kind, o.id as owner_id,
           case when f.event_type_id is not null then exists (select from steward_app.locations l where l.event_type_id = e.id) end as filled
      from (
        select a.event_type_id from steward.archived_locations a
         where a.organization_id = organization and a.expires_at > at and a.neighbours <> 'superseded'
        union
        select t.event_type_id from steward.event_type_flags t where t.organization_id = organization) k
      join steward_app.event_types e on e.id = k.event_type_id
      left join steward.event_type_flags f on f.event_type_id = e.id
     cross join lateral (
       select case when e.kind in ('solo', 'group', 'managed', 'collective', 'template') then e.host_member_id end as id) o
     where e.organization_id = organization
       and not exists (select from steward_app.locations z
                        where z.organization_id = organization and z.kind = 'zoom_conference' and z.event_type_id = e.id)),
  -- Owners and hosts in one reading of the stored facts.
  decided as materialized (
    select v.id, v.kind, v.filled, count(*) filter (where coalesce(l.can_host, s.can_host)) as can_host
      from (
        select q.id, q.kind, q.filled, q.owner_id as member_id from asked q
        union all
        select q.id, q.kind, q.filled, h.member_id
          from asked q
          join steward_app.event_type_hosts h on h.organization_id = organization and h.event_type_id = q.id and h.active
         where q.kind = 'round_robin' or q.kind = 'template' and q.owner_id is null) v
      left join steward.stored_servers(organization, facts.org_state, facts.ever_disconnected, facts.allow_opt_out, facts.shared_host is not null) s
             on s.member_id = v.member_id
      left join steward.looked_servers(looked_at, looked_takes, looked_can_host, looked_could_host) l on l.member_id = v.member_id
     group by v.id, v.kind, v.filled),
  -- Copies are looked at where they could return, and what stands beside them only there: fingerprints cost most.
  copies as materialized (
    select a.event_type_id, count(*) as zoom, min(a.neighbours) as neighbours,
           bool_or(a.offered and a.accepted_at is null and a.generation <> all(facts.restore_generations)) as waits
      from steward.archived_locations a
      join (select k.event_type_id, max(k.archived_at) as newest_at from steward.archived_locations k where k.organization_id = organization
             group by k.event_type_id) newest on newest.event_type_id = a.event_type_id and newest.newest_at = a.archived_at
     where a.organization_id = organization and a.adapter = 'rows' and a.expires_at > at and a.neighbours <> 'superseded'
       and exists (select from decided d where d.id = a.event_type_id and d.can_host > 0)
       -- An id that lives again elsewhere cannot come back.
       and not exists (select from steward_app.locations l where l.id = (a.content ->> 'id')::uuid)
     group by a.event_type_id),
  beside as (
    select l.event_type_id, md5(string_agg(steward.location_print(l.id, l.position, l.kind, l.details, l.updated_at), chr(30) order by l.position, l.id)) as neighbours
      from steward_app.locations l
     where l.kind <> 'zoom_conference' and exists (select from copies c where c.event_type_id = l.event_type_id)
     group by l.event_type_id)
  select w.todo, w.kind, w.id, case w.todo when 'unflag' then 0 else w.zoom end
    from (
      select d.id, d.kind, c.zoom,
             case when d.can_host > 0 and c.neighbours = coalesce(b.neighbours, md5('')) then case when c.waits then 'offered' else 'restore' end
                  when d.filled then 'unflag' end as todo
        from decided d
        left join copies c on c.event_type_id = d.id
        left join beside b on b.event_type_id = d.id) w
   where w.todo is not null;
end $$;

-- What steward.plan_locations says of an organization too large for one page of location rows: the same, from whole tables
-- compared with each other. Who serves comes from stored facts; of the doubtful ones among them (steward.doubtful_members)
-- from the look that was just taken and is handed in. Somebody who has neither is no member. Examples are the first by kind and id.
drop function if exists steward.plan_locations_sets(uuid, jsonb, uuid[], boolean[], boolean[], boolean[]);
create or replace function steward.plan_locations_sets(
  organization uuid, told_facts jsonb, told_now jsonb, looked_at uuid[], looked_takes boolean[], looked_can_host boolean[], looked_could_host boolean[])
returns table (category text, kind text, event_types bigint, locations bigint, examples uuid[])
language plpgsql stable
-- Without statistics, or with those of a smaller organization, whole tables would be compared row by row, or in the order of
-- random ids. What is called from here is planned with the same.
set plan_cache_mode = 'force_custom_plan'
set enable_nestloop = off
set enable_mergejoin = off
set work_mem = '64MB'
set jit = off
as $$
#variable_conflict use_column
declare
  facts record := steward.told_facts(told_facts);
begin
  return query
  with have_zoom as materialized (
    select z.* from steward.plan_zoom_sets(organization, told_facts, told_now, looked_at, looked_takes, looked_can_host, looked_could_host) z),
  several as materialized (
    select m.* from steward.several_zoom(organization, (select coalesce(sum(z.event_types), 0)::bigint from have_zoom z)) m),
  -- Asked only where something goes.
  bare as materialized (
    select b.id from steward.only_zoom_sets(organization) b (id) where exists (select from have_zoom z where z.goes)),
  told as (
    select k.category, z.kind, z.event_types, z.ids
      from have_zoom z
     cross join lateral (
       select 'remove' as category where z.goes
       union all
       select 'unflag' where not z.goes and z.flagged
       union all
       select 'fewer_hosts' where not z.goes and not z.flagged and z.fewer
       union all
       select 'unserved' where not z.goes and not z.flagged and z.unserved) k
    union all
    select case when facts.fallback is null then 'no_location' else 'fallback' end, z.kind, cardinality(i.ids), i.ids
      from have_zoom z
     cross join lateral (select array(select b.id from bare b join unnest(z.ids) t (id) on t.id = b.id) as ids) i
     where z.goes and exists (select from bare) and i.ids <> '{}'),
  parts as materialized (
    select t.category, t.kind, t.event_types,
           case when t.category = 'unflag' then 0
                when not exists (select from several) then t.event_types
                else t.event_types + coalesce((select sum(m.zoom - 1) from several m join unnest(t.ids) i (id) on i.id = m.event_type_id), 0) end as locations,
           array(select i from unnest(t.ids) i order by i limit 5) as examples
      from told t
    union all
    select c.todo, c.kind, c.event_types, c.locations, array(select i from unnest(c.ids) i order by i limit 5)
      from (
        select w.todo, w.kind, count(*) as event_types, sum(w.zoom) as locations, array_agg(w.id) as ids
          from steward.plan_copies_sets(organization, told_facts, looked_at, looked_takes, looked_can_host, looked_could_host) w group by 1, 2) c)
  select p.category, p.kind, sum(p.event_types)::bigint, sum(p.locations)::bigint,
         array(select i from parts q cross join unnest(q.examples) i where q.category = p.category and q.kind = p.kind order by i limit 5)
    from parts p
   group by 1, 2
   order by 1, 2;
end $$;
