-- New event types start with Zoom (behaviour §5, zoom_for_new_event_types): which, and what is to be done with each.

-- Event types created after this are new; null: the setting is off. By the database's own clock, as created_at is.
create or replace function steward.new_event_types_since(organization uuid) returns timestamptz
language sql stable parallel safe as $$
  select s.new_event_types_since from steward.organization_settings s
   where s.organization_id = organization and s.zoom_for_new_event_types
$$;

-- What we put first: a bare Zoom location, as the array has it.
create or replace function steward.zoom_element() returns jsonb
language sql immutable parallel safe
return '{"kind": "zoom_conference"}'::jsonb;

-- Of these event types, what is to be done about their start with Zoom. New ones only, or existing ones as well, as a
-- one-time run asks; those that are settled are passed over. Reads only.
--   add      active, somebody can host, and no Zoom       had    there is Zoom, or a copy of it: only noted
--   wait     new, and nobody can host yet: noted          left   new, and edited while it waited: noted
--   nobody   existing, and nobody can host: passed over   copy   existing, and a copy waits for its return: passed over
create or replace function steward.zoom_start_work(organization uuid, from_adapter text, event_types uuid[], existing boolean default false,
                                                   assumed jsonb default null)
returns table (event_type_id uuid, kind text, owner_id uuid, todo text, print text, is_new boolean)
language plpgsql stable as $$
#variable_conflict use_column
declare
  -- A preview may come before the setting is turned on.
  since timestamptz := coalesce(steward.new_event_types_since(organization), case when existing then 'infinity'::timestamptz end);
  facts record;
  asked uuid[];
  kinds text[];
  owners uuid[];
  new_ones boolean[];
  seen text[];
  zoomed uuid[];
  copied uuid[];
begin
  if since is null then return; end if;
  select * into facts from steward.location_facts(organization, assumed);
  -- Interrupted: nothing is added, also where a personal Zoom hosts; what is there is noted all the same.
  if facts.org_state not in ('active', 'interrupted') then return; end if;
  select array_agg(e.id), array_agg(e.kind), array_agg(e.host_member_id), array_agg(e.created_at > since), array_agg(s.print)
    into asked, kinds, owners, new_ones, seen
    from steward_app.event_types e
    left join steward.zoom_starts s on s.organization_id = organization and s.event_type_id = e.id and s.event_type_id = any(event_types)
   where e.organization_id = organization and e.id = any(event_types)
     and case when e.created_at > since then coalesce(s.state, 'waiting') = 'waiting'
              else existing and coalesce(s.state, 'waiting') in ('waiting', 'undone') end
     -- What is no array is never written.
     and (from_adapter = 'rows' or jsonb_typeof(e.locations) = 'array');
  if asked is null then return; end if;
  if from_adapter = 'rows' then
    zoomed := array(select l.event_type_id from steward_app.locations l
                     where l.organization_id = organization and l.event_type_id = any(asked) and l.kind = 'zoom_conference');
  else
    zoomed := array(select e.id from steward_app.event_types e where e.id = any(asked) and e.locations @> '[{"kind": "zoom_conference"}]');
  end if;
  copied := array(select a.event_type_id from steward.archived_locations a
                   where a.organization_id = organization and a.event_type_id = any(asked));
  return query
  with known as materialized (
    select k.event_type_id, k.kind, k.owner_id, k.is_new, k.seen, k.event_type_id = any(zoomed) as zoom, k.event_type_id = any(copied) as copy
      from unnest(asked, kinds, owners, new_ones, seen) as k (event_type_id, kind, owner_id, is_new, seen)),
  bare as materialized (select array(select k.event_type_id from known k where not k.zoom and not k.copy) as ids),
  decided as materialized (
    -- In batches: not one by one.
    select d.* from bare b cross join lateral steward.location_decisions(organization, b.ids, assumed) d),
  prints as materialized (
    select n.event_type_id, n.neighbours from bare b cross join lateral steward.location_neighbours_rows(b.ids) n where from_adapter = 'rows'
    union all
    select n.event_type_id, n.neighbours from bare b cross join lateral steward.location_neighbours_json(b.ids) n where from_adapter = 'json'),
  work as (
    select k.event_type_id, k.kind, k.owner_id, k.is_new, coalesce(p.neighbours, md5('')) as print,
           case when k.zoom or k.is_new and k.copy then 'had'
                when k.copy then 'copy'
                when k.is_new and k.seen <> coalesce(p.neighbours, md5('')) then 'left'
                when facts.org_state = 'active' and d.can_host > 0 then 'add'
                when not k.is_new then 'nobody'
                when k.seen is null then 'wait' end as todo
      from known k left join decided d on d.event_type_id = k.event_type_id left join prints p on p.event_type_id = k.event_type_id)
  select w.event_type_id, w.kind, w.owner_id, w.todo, case when w.todo = 'wait' then w.print end, w.is_new from work w where w.todo is not null;
end $$;
