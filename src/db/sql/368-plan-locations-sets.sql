-- What stored facts say of everybody of an organization who serves: whether their Zoom goes, whether they can host, and
-- whether they could before what is assumed.
create or replace function steward.stored_servers(
  organization uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean,
  now_state text, now_ever_disconnected boolean, now_allow_opt_out boolean, has_shared_host boolean)
returns table (member_id uuid, takes boolean, can_host boolean, could_host boolean)
language sql stable parallel safe as $$
  select r.member_id, steward.rule_takes_zoom(r.reason),
         steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, has_shared_host) = 'can_host',
         steward.rule_hosting(r.now_reason, now_state, r.match, r.zoom_status, r.zoom_type, has_shared_host) = 'can_host'
    from (
      select f.member_id, f.match, f.zoom_status, f.zoom_type,
             steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out) as reason,
             steward.rule_reason(f.active, f.personal, now_state, now_ever_disconnected, f.in_rollout, f.opted_out and now_allow_opt_out) as now_reason
        from steward.member_facts f where f.organization_id = organization
      offset 0) r
$$;

-- Whether an organization has so much of the tables that a plan set against set reads whole – nothing keys locations by
-- organization but those that are Zoom – that reading them costs less than looking up what it has by key: not more than a
-- page for four of its Zoom locations and copies, or 1 MB. By their size on disk, which is known without statistics; of a
-- view, or of what lies elsewhere, nothing is known, and nothing is read whole.
create or replace function steward.worth_whole_tables(organization uuid) returns boolean
language sql stable as $$
  select t.locations > 0
     and t.locations + t.flags <= 128 + (
       (select count(*) from steward_app.locations l where l.organization_id = organization and l.kind = 'zoom_conference')
       + (select count(*) from steward.archived_locations a where a.organization_id = organization)) / 4
    from (
      select (pg_relation_size('steward_app.locations'::regclass)
              + (select coalesce(sum(pg_relation_size(p.relid)), 0) from pg_partition_tree('steward_app.locations'::regclass) p)) / 8192 as locations,
             pg_relation_size('steward.event_type_flags'::regclass) / 8192 as flags) t
$$;

-- What steward.plan_locations says of an organization too large for one page of location rows: the same, from whole tables
-- compared with each other. Who serves comes from stored facts; of the doubtful ones among them (steward.doubtful_members)
-- from the look that was just taken and is handed in. Somebody who has neither is no member. Examples are the first by kind and id.
create or replace function steward.plan_locations_sets(
  organization uuid, assumed jsonb, looked_at uuid[], looked_takes boolean[], looked_can_host boolean[], looked_could_host boolean[])
returns table (category text, kind text, event_types bigint, locations bigint, examples uuid[])
language plpgsql stable
set plan_cache_mode = 'force_custom_plan'
set jit = off
-- Without statistics, or with those of a smaller organization, whole tables would be compared row by row, or in the order of
-- random ids.
set enable_nestloop = off
set enable_mergejoin = off
set work_mem = '64MB'
as $$
#variable_conflict use_column
declare
  facts record;
  now record;
  at constant timestamptz := steward.now();
begin
  select * into facts from steward.location_facts(organization, assumed);
  select * into now from steward.location_facts(organization);
  return query
  with servers as not materialized (
    select s.member_id, s.takes, s.can_host, s.could_host
      from steward.stored_servers(organization, facts.org_state, facts.ever_disconnected, facts.allow_opt_out,
                                  now.org_state, now.ever_disconnected, now.allow_opt_out, facts.shared_host is not null) s),
  looked as not materialized (
    select * from unnest(looked_at, looked_takes, looked_can_host, looked_could_host) as l (member_id, takes, can_host, could_host)),
  -- Event types that go by their hosts.
  hosted as not materialized (
    select e.id, bool_or(not coalesce(l.takes, s.takes, true)) as kept,
           count(*) filter (where coalesce(l.can_host, s.can_host)) as can_host,
           count(*) filter (where coalesce(l.could_host, s.could_host)) as could_host
      from steward_app.event_types e
      join steward_app.event_type_hosts h on h.organization_id = organization and h.event_type_id = e.id and h.active
      left join servers s on s.member_id = h.member_id
      left join looked l on l.member_id = h.member_id
     where e.organization_id = organization and (e.kind = 'round_robin' or e.kind = 'template' and e.host_member_id is null)
     group by e.id),
  zoom as not materialized (
    select l.event_type_id, count(*) as zoom from steward_app.locations l
     where l.organization_id = organization and l.kind = 'zoom_conference' group by l.event_type_id),
  -- What has Zoom, could have it back, or is flagged: as the pages have it.
  decided as materialized (
    select e.id, e.kind, z.zoom, case when f.event_type_id is not null then exists (select from steward_app.locations l where l.event_type_id = e.id) end as filled,
           case when o.id is not null then not coalesce(l.takes, s.takes, true) else coalesce(h.kept, not facts.disconnected) end as kept,
           case when o.id is not null then coalesce(l.can_host, s.can_host, false)::integer else coalesce(h.can_host, 0) end as can_host,
           coalesce(h.could_host, 0) as could_host
      from steward_app.event_types e
      left join zoom z on z.event_type_id = e.id
      left join steward.event_type_flags f on f.event_type_id = e.id
      left join hosted h on h.id = e.id
     cross join lateral (
       select case when e.kind in ('solo', 'group', 'managed', 'collective', 'template') then e.host_member_id end as id) o
      left join servers s on s.member_id = o.id
      left join looked l on l.member_id = o.id
     where e.organization_id = organization
       and (z.event_type_id is not null or f.organization_id = organization or exists (
         select from steward.archived_locations a
          where a.organization_id = organization and a.event_type_id = e.id and a.expires_at > at and a.neighbours <> 'superseded'))),
  -- Copies are looked at where they could return, and what stands beside them only there: fingerprints cost most.
  copies as materialized (
    select a.event_type_id, count(*) as zoom, min(a.neighbours) as neighbours,
           bool_or(a.offered and a.accepted_at is null and a.generation <> all(facts.restore_generations)) as waits
      from steward.archived_locations a
      join (select k.event_type_id, max(k.archived_at) as newest_at from steward.archived_locations k where k.organization_id = organization
             group by k.event_type_id) newest on newest.event_type_id = a.event_type_id and newest.newest_at = a.archived_at
     where a.organization_id = organization and a.adapter = 'rows' and a.expires_at > at and a.neighbours <> 'superseded'
       and exists (select from decided d where d.id = a.event_type_id and d.zoom is null and d.can_host > 0)
       -- An id that lives again elsewhere cannot come back.
       and not exists (select from steward_app.locations l where l.id = (a.content ->> 'id')::uuid)
     group by a.event_type_id),
  beside as (
    select l.event_type_id, md5(string_agg(steward.location_print(l.id, l.position, l.kind, l.details, l.updated_at), chr(30) order by l.position, l.id)) as neighbours
      from steward_app.locations l
     where l.kind <> 'zoom_conference' and exists (select from copies c where c.event_type_id = l.event_type_id)
     group by l.event_type_id),
  work as materialized (
    select d.id, d.kind, coalesce(d.zoom, c.zoom, 0) as zoom, d.can_host, d.could_host,
           case when d.zoom > 0 and not d.kept then 'remove'
                when d.zoom is null and d.can_host > 0 and c.neighbours = coalesce(b.neighbours, md5('')) then case when c.waits then 'offered' else 'restore' end
                when d.filled then 'unflag'
                when d.zoom > 0 then 'keep' end as todo
      from decided d
      left join copies c on c.event_type_id = d.id
      left join beside b on b.event_type_id = d.id),
  found as (
    select w.todo as category, w.kind, w.id, case w.todo when 'unflag' then 0 else w.zoom end as zoom
      from work w where w.todo <> 'keep'
    union all
    select case when facts.fallback is null then 'no_location' else 'fallback' end, w.kind, w.id, w.zoom
      from work w where w.todo = 'remove'
       and not exists (select from steward_app.locations l where l.event_type_id = w.id and l.kind <> 'zoom_conference')
    union all
    select 'fewer_hosts', w.kind, w.id, w.zoom from work w
     where w.todo = 'keep' and w.kind = 'round_robin' and w.can_host < w.could_host
    union all
    select 'unserved', w.kind, w.id, w.zoom from work w where w.todo = 'keep' and w.can_host = 0)
  select g.category, g.kind, g.n, g.zoom, array(select k from unnest(g.ids) k order by k limit 5)
    from (select f.category, f.kind, count(*) as n, sum(f.zoom)::bigint as zoom, array_agg(f.id) as ids from found f group by 1, 2) g
   order by 1, 2;
end $$;
