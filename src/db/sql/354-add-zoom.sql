-- Puts Zoom first into the lists of these locked event types, which have none, and says what was made: its fingerprint, which
-- is what an undo looks for, and whether nothing else is there. Every other location stays as it is; the place is below the lowest there is.
drop function if exists steward.add_zoom_rows(uuid, uuid[]);
create or replace function steward.add_zoom_rows(organization uuid, event_types uuid[])
returns table (event_type_id uuid, print text, alone boolean)
language plpgsql volatile as $$
#variable_conflict use_column
declare
  at timestamptz := steward.now();
begin
  return query
  with lowest as (
    select l.event_type_id, min(l.position) as place from steward_app.locations l where l.event_type_id = any(event_types) group by l.event_type_id),
  made as (
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details, created_at, updated_at)
    -- At the end of the integers it stands beside the first.
    select gen_random_uuid(), k.id, organization, coalesce(greatest(f.place::bigint - 1, -2147483648)::integer, 0), 'zoom_conference', '{}', at, at
      from unnest(event_types) as k (id) left join lowest f on f.event_type_id = k.id
    returning *)
  select m.event_type_id, md5(steward.location_print(m.id, m.position, m.kind, m.details, m.updated_at)), f.event_type_id is null
    from made m left join lowest f on f.event_type_id = m.event_type_id;
end $$;

drop function if exists steward.add_zoom_json(uuid, uuid[]);
create or replace function steward.add_zoom_json(organization uuid, event_types uuid[])
returns table (event_type_id uuid, print text, alone boolean)
language plpgsql volatile as $$
#variable_conflict use_column
begin
  return query
  update steward_app.event_types e set locations = jsonb_build_array(steward.zoom_element()) || e.locations
   where e.organization_id = organization and e.id = any(event_types) and jsonb_typeof(e.locations) = 'array'
     and not e.locations @> '[{"kind": "zoom_conference"}]'
  returning e.id, md5(steward.zoom_element()::text), jsonb_array_length(e.locations) = 1;
end $$;

-- Lets these event types of the organization start with Zoom, as zoom_start_work says: look, lock what gets it, look again,
-- write. With a one-time run existing ones as well, in its name. Gives how many got it. Everything is noted in the same
-- transaction, so that nothing is touched twice.
create or replace function steward.add_zoom(organization uuid, run uuid, from_adapter text, event_types uuid[], one_time_run uuid default null)
returns integer
language plpgsql volatile
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
declare
  coming uuid[];
  owners uuid[];
  new_ones boolean[];
  made uuid[] := '{}';
  prints text[];
  alone boolean[];
begin
  if steward.new_event_types_since(organization) is null or coalesce(cardinality(event_types), 0) = 0
     or (select f.observe from steward.location_facts(organization) f) then
    return 0;
  end if;
  -- What is only noted needs no lock: a note that comes late is put right by the next look.
  with work as materialized (
    select * from steward.zoom_start_work(organization, from_adapter, event_types, one_time_run is not null)),
  noted as (
    insert into steward.zoom_starts as s (organization_id, event_type_id, state, print, at)
    select organization, w.event_type_id, case w.todo when 'wait' then 'waiting' else w.todo end, w.print, (select steward.now())
      from work w where w.todo in ('had', 'left', 'wait')
    on conflict on constraint zoom_starts_pkey do update set state = excluded.state, print = excluded.print, at = excluded.at)
  select array_agg(w.event_type_id) into coming from work w where w.todo = 'add';
  if coming is null then return 0; end if;

  perform steward.lock_locations(organization, from_adapter, coming);
  select array_agg(w.event_type_id), array_agg(w.owner_id), array_agg(w.is_new) into coming, owners, new_ones
    from steward.zoom_start_work(organization, from_adapter, coming, one_time_run is not null) w where w.todo = 'add';
  if coming is null then return 0; end if;
  if from_adapter = 'rows' then
    select array_agg(a.event_type_id), array_agg(a.print), array_agg(a.alone) into made, prints, alone from steward.add_zoom_rows(organization, coming) a;
  else
    select array_agg(a.event_type_id), array_agg(a.print), array_agg(a.alone) into made, prints, alone from steward.add_zoom_json(organization, coming) a;
  end if;
  if made is null then return 0; end if;

  insert into steward.zoom_starts as s (organization_id, event_type_id, state, print, alone, one_time_run_id, at)
  select organization, m.id, 'added', m.print, m.alone, case when not c.is_new then one_time_run end, (select steward.now())
    from unnest(made, prints, alone) as m (id, print, alone) join unnest(coming, new_ones) as c (id, is_new) on c.id = m.id
  on conflict on constraint zoom_starts_pkey do update
     set state = excluded.state, print = excluded.print, alone = excluded.alone, one_time_run_id = excluded.one_time_run_id, at = excluded.at;
  delete from steward.event_type_flags g where g.event_type_id = any(made);
  insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
  select organization, run, 'added', array_agg(m.id), array_agg(c.owner_id), array_agg(1), array_agg(null::text), array_agg(false)
    from unnest(made) as m (id) join unnest(coming, owners) as c (id, owner_id) on c.id = m.id;
  return cardinality(made);
end $$;
