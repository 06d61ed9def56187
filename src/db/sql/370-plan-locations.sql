-- What reconciling an organization's locations would do, or would under assumed facts; reads only, one snapshot.
-- One row a page, category and kind of event type, with a few examples; whoever asks adds the pages up.
--   remove          Zoom locations go, also by the undo of a one-time run that was ordered
--   no_location     … and nothing is left: flagged
--   fallback        … and the fallback is put there
--   unflag          the flag goes: somebody added a location
--   restore         archived ones come back         offered       would come back if a person accepted
--   fewer_hosts     round robin keeps Zoom, but some hosts can host now and not then
--   unserved        Zoom stays, but nobody can host
--   add             new ones start with Zoom, and others by a one-time run that was ordered
--
-- doubtful, where given, are those whose stored facts are not to be trusted (steward.doubtful_members and their peers): then rows that
-- do not fit a page, and are a good share of their tables (steward.worth_whole_tables), are compared set against set, with
-- everybody else as stored. Else page by page, with everybody looked at live.
-- whole_tables: what to do instead of asking how large the share is, for those who compare the two.
drop function if exists steward.plan_locations(uuid, text, jsonb, integer);
drop function if exists steward.plan_locations(uuid, text, jsonb, integer, uuid[]);
create or replace function steward.plan_locations(organization uuid, from_adapter text, assumed jsonb default null, page_size integer default 10000,
                                                  doubtful uuid[] default null, whole_tables boolean default null)
returns table (category text, kind text, event_types bigint, locations bigint, examples uuid[])
language plpgsql stable
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
#variable_conflict use_column
declare
  facts record;
  now record;
  by_sets boolean := false;
  looked_at uuid[];
  takes boolean[];
  can_host boolean[];
  could_host boolean[];
  start_after uuid := '00000000-0000-0000-0000-000000000000';
  page record;
  todo_types uuid[];
  todos text[];
  kinds text[];
  zooms integer[];
  hosts integer[];
  bare uuid[];
begin
  if from_adapter not in ('rows', 'json') then
    raise exception 'steward.plan_locations: expected the adapter rows or json, got %; see docs/locations.md', from_adapter using errcode = '22023';
  end if;
  select * into facts from steward.location_facts(organization, assumed);
  loop
    if from_adapter = 'rows' then
      select * into page from steward.location_page(organization, start_after, page_size,
        steward.zoom_event_types_rows(organization, start_after, page_size), true);
      if doubtful is not null and page.upto is not null then
        -- Asked once, at the first page.
        whole_tables := coalesce(whole_tables, steward.worth_whole_tables(organization));
        by_sets := whole_tables;
        exit when by_sets;
      end if;
      select array_agg(w.event_type_id), array_agg(w.todo), array_agg(w.kind), array_agg(w.zoom), array_agg(w.can_host)
        into todo_types, todos, kinds, zooms, hosts
        from steward.location_work_rows(organization, page.event_types, assumed, true) w;
      bare := array(select steward.only_zoom_rows(array(select w.id from unnest(todo_types, todos) as w (id, todo) where w.todo = 'remove')));
    else
      select * into page from steward.location_page(organization, start_after, page_size,
        steward.zoom_event_types_json(organization, start_after, page_size), true);
      select array_agg(w.event_type_id), array_agg(w.todo), array_agg(w.kind), array_agg(w.zoom), array_agg(w.can_host)
        into todo_types, todos, kinds, zooms, hosts
        from steward.location_work_json(organization, page.event_types, assumed, true) w;
      bare := array(select steward.only_zoom_json(array(select w.id from unnest(todo_types, todos) as w (id, todo) where w.todo = 'remove')));
    end if;
    return query
    with work as materialized (
      select * from unnest(todo_types, todos, kinds, zooms, hosts) as w (event_type_id, todo, kind, zoom, can_host)),
    -- Only those whose Zoom stays under an assumption: for the others the question is answered.
    now as materialized (
      select d.event_type_id, d.can_host from steward.location_decisions(organization, case when assumed is null then '{}' else
               array(select w.event_type_id from work w where w.todo = 'keep' and w.kind = 'round_robin') end) d),
    found as (
      select w.todo as category, w.kind, w.event_type_id, case w.todo when 'unflag' then 0 else w.zoom end as zoom from work w where w.todo <> 'keep'
      union all
      select case when facts.fallback is null then 'no_location' else 'fallback' end, w.kind, w.event_type_id, w.zoom
        from work w where w.todo = 'remove' and w.event_type_id = any(bare)
      union all
      select 'fewer_hosts', w.kind, w.event_type_id, w.zoom from work w join now n on n.event_type_id = w.event_type_id
       where w.can_host < n.can_host
      union all
      select 'unserved', w.kind, w.event_type_id, w.zoom from work w
       where w.todo = 'keep' and w.can_host = 0)
    select f.category, f.kind, count(*), sum(f.zoom), (array_agg(f.event_type_id order by f.event_type_id))[1:5]
      from found f group by f.category, f.kind;
    exit when page.upto is null;
    start_after := page.upto;
  end loop;
  if by_sets then
    select * into now from steward.location_facts(organization);
    -- One look for both: an assumed rollout would have none trusted, and an account is never assumed.
    select array_agg(r.member_id), array_agg(steward.rule_takes_zoom(r.reason)),
           array_agg(steward.rule_hosting(r.reason, facts.org_state, r.match, r.zoom_status, r.zoom_type, facts.shared_host is not null) = 'can_host'),
           array_agg(steward.rule_hosting(r.now_reason, now.org_state, r.match, r.zoom_status, r.zoom_type, now.shared_host is not null) = 'can_host')
      into looked_at, takes, can_host, could_host
      from (
        select l.member_id, l.match, l.zoom_status, l.zoom_type,
               steward.rule_reason(l.active, l.personal, facts.org_state, facts.ever_disconnected, l.in_rollout, l.opted_out and facts.allow_opt_out) as reason,
               steward.rule_reason(l.active, l.personal, now.org_state, now.ever_disconnected, l.in_rollout, l.opted_out and now.allow_opt_out) as now_reason
          from steward.live_facts_under(organization, doubtful, facts.zoom_account_id, facts.rollout, facts.rollout_groups, facts.rollout_domains) l
        offset 0) r;
    return query
    select s.category, s.kind, s.event_types, s.locations, s.examples
      from steward.plan_locations_sets(organization, to_jsonb(facts), to_jsonb(now), looked_at, takes, can_host, could_host) s;
  end if;
  return query
  select p.category, p.kind, p.event_types, p.event_types, p.examples
    from steward.plan_zoom_starts(organization, from_adapter, false, assumed) p where p.category = 'add';
  -- What a person ordered and no run has done yet.
  if exists (select from steward.one_time_runs o where o.organization_id = organization and o.state = 'open' and o.undoes is null)
     and steward.new_event_types_since(organization) is not null then
    return query
    select p.category, p.kind, p.event_types, p.event_types, p.examples
      from steward.plan_zoom_starts(organization, from_adapter, true, assumed) p where p.category = 'add';
  end if;
  if assumed is null then
    return query select 'remove', p.kind, p.event_types, p.event_types, p.examples from steward.plan_undo(organization, from_adapter) p;
  end if;
end $$;
