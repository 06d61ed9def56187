-- The JSON adapter: locations are the elements of the array steward_app.event_types.locations. Elements never
-- leave the database and are never rebuilt, so numbers, key order and unknown fields stay as they are. What is
-- not an array is an event type without Zoom.

-- The Zoom locations of an array, in order. Strict: an array in the array is no location, whatever is in it; what is
-- odd otherwise (text, number, null, object without kind) makes the question unknown, and is none either.
create or replace function steward.only_zoom(locations jsonb) returns jsonb
language sql immutable parallel safe
return jsonb_path_query_array(locations, 'strict $[*] ? (@.kind == "zoom_conference")', '{}', true);

-- The array without them, order kept.
create or replace function steward.without_zoom(locations jsonb) returns jsonb
language sql immutable parallel safe
return jsonb_path_query_array(locations, 'strict $[*] ? ((@.kind == "zoom_conference") is unknown || !(@.kind == "zoom_conference"))', '{}', true);

-- The array as it was: elements put back at their places, counted from 0. Between two of them stand as many of
-- the others as there were.
create or replace function steward.with_elements(others jsonb, elements jsonb[], places integer[]) returns jsonb
language sql immutable parallel safe
return (
  select coalesce(jsonb_agg(m.element order by m.before, m.part, m.place), '[]') from (
    select o.element, o.place - 1 as before, 1 as part, 0::bigint as place
      from jsonb_array_elements(others) with ordinality as o (element, place)
    union all
    select b.element, b.place - (row_number() over (order by b.place) - 1), 0, row_number() over (order by b.place)
      from unnest(elements, places) as b (element, place)) as m);

-- A page of event types with Zoom, in order of id.
create or replace function steward.zoom_event_types_json(organization uuid, after uuid, page_size integer) returns uuid[]
language plpgsql stable as $$
begin
  return array(select e.id from steward_app.event_types e
                where e.organization_id = organization and e.id > after and e.locations @> '[{"kind": "zoom_conference"}]'
                order by e.id limit page_size);
end $$;

-- The fingerprint of an event type's other locations. What is no array has no row here.
create or replace function steward.location_neighbours_json(event_types uuid[])
returns table (event_type_id uuid, neighbours text)
language sql stable parallel safe as $$
  select e.id, md5(steward.without_zoom(e.locations)::text)
    from steward_app.event_types e where e.id = any(event_types) and jsonb_typeof(e.locations) = 'array'
$$;

create or replace function steward.only_zoom_json(event_types uuid[]) returns setof uuid
language sql stable parallel safe as $$
  select e.id from steward_app.event_types e
   where e.id = any(event_types) and jsonb_typeof(e.locations) = 'array' and e.locations <> '[]'
     and steward.without_zoom(e.locations) = '[]'
$$;

drop function if exists steward.location_work_json(uuid, uuid[], jsonb, boolean);
create or replace function steward.location_work_json(organization uuid, event_types uuid[], assumed jsonb default null, planning boolean default false)
returns table (event_type_id uuid, kind text, owner_id uuid, todo text, cause text, zoom integer, can_host integer)
language plpgsql stable as $$
#variable_conflict use_column
declare
  facts record;
  archived_types uuid[];
  archived_zoom integer[];
  archived_neighbours text[];
  archived_waits boolean[];
begin
  select * into facts from steward.location_facts(organization, assumed);
  select array_agg(x.event_type_id), array_agg(x.zoom), array_agg(x.neighbours), array_agg(x.waits)
    into archived_types, archived_zoom, archived_neighbours, archived_waits
    from (select a.event_type_id, count(*) as zoom, min(a.neighbours) as neighbours,
                 bool_or(a.offered and a.accepted_at is null and a.generation <> all(facts.restore_generations)) as waits
            from steward.returnable_archives(organization, event_types, 'json', facts.restore_generations, planning) a group by a.event_type_id) x;
  return query
  with decided as materialized (select * from steward.location_decisions(organization, event_types, assumed)),
  present as materialized (
    select e.id as event_type_id, jsonb_array_length(steward.only_zoom(e.locations)) as zoom, jsonb_array_length(e.locations) as all_of_them
      from steward_app.event_types e where e.organization_id = organization and e.id = any(event_types) and jsonb_typeof(e.locations) = 'array'),
  archived as materialized (
    select a.event_type_id, a.zoom, a.neighbours = n.neighbours as unedited, a.waits
      from unnest(archived_types, archived_zoom, archived_neighbours, archived_waits) as a (event_type_id, zoom, neighbours, waits)
      join steward.location_neighbours_json(archived_types) n on n.event_type_id = a.event_type_id),
  flagged as materialized (select f.event_type_id from steward.event_type_flags f where f.event_type_id = any(event_types)),
  work as (
    select d.event_type_id, d.kind, d.owner_id,
           case when p.zoom > 0 and not d.kept then 'remove'
                when p.zoom = 0 and d.can_host > 0 and a.unedited then case when a.waits then 'offered' else 'restore' end
                when p.all_of_them > 0 and f.event_type_id is not null then 'unflag'
                when planning and p.zoom > 0 then 'keep' end as todo,
           d.cause, coalesce(nullif(p.zoom, 0), a.zoom, 0) as zoom, d.can_host
      from decided d
      join present p on p.event_type_id = d.event_type_id
      left join archived a on a.event_type_id = d.event_type_id
      left join flagged f on f.event_type_id = d.event_type_id)
  select * from work where todo is not null;
end $$;

create or replace function steward.remove_locations_json(organization uuid, run uuid, event_types uuid[], causes text[], owners uuid[])
returns table (event_types_done integer, locations integer, fallbacks integer, flagged integer)
language plpgsql volatile as $$
#variable_conflict use_column
declare
  facts record;
  at timestamptz := steward.now();
  -- Ids of copies are random by the chunk and counted within: at random each would go to another page of the index.
  series constant text := left(gen_random_uuid()::text, 24);
begin
  select * into facts from steward.location_facts(organization);
  perform steward.supersede_archives(organization, event_types);
  return query
  with done as materialized (
    select k.event_type_id, k.cause, k.owner_id, e.locations as before, o.others,
           case when jsonb_array_length(o.others) = 0 then facts.fallback end as fallback,
           jsonb_array_length(o.others) = 0 and facts.fallback is null as needs_location
      from unnest(event_types, causes, owners) as k (event_type_id, cause, owner_id)
      join steward_app.event_types e on e.id = k.event_type_id
     cross join lateral (select steward.without_zoom(e.locations) as others offset 0) as o
     where e.organization_id = organization and e.id = any(event_types) and jsonb_typeof(e.locations) = 'array'
       -- Somebody may have taken Zoom out before the lock: then there is nothing to write.
       and e.locations @> '[{"kind": "zoom_conference"}]'),
  left_there as materialized (
    select d.*, case when d.fallback is null then d.others else jsonb_build_array(d.fallback) end as after from done d),
  archived as (
    insert into steward.archived_locations (id, organization_id, event_type_id, adapter, place, content, neighbours, cause, offered, generation,
                                            run_id, archived_at, expires_at, fallback)
    select (series || lpad(to_hex(row_number() over ()), 12, '0'))::uuid, organization, d.event_type_id, 'json', z.place - 1, z.element, md5(d.after::text),
           d.cause, steward.rule_offered(d.cause, facts.disconnect_cause), facts.generation, run, at, at + facts.expires_after, d.fallback
      from left_there d cross join lateral jsonb_array_elements(d.before) with ordinality as z (element, place)
     where z.element @> '{"kind": "zoom_conference"}'
    returning 1),
  removed as (
    update steward_app.event_types e set locations = d.after from left_there d
     where e.id = d.event_type_id and e.organization_id = organization returning 1),
  flag as (
    insert into steward.event_type_flags (event_type_id, organization_id, needs_location_since, run_id)
    select d.event_type_id, organization, at, run from left_there d where d.needs_location
    on conflict (event_type_id) do nothing returning 1),
  unflagged as (
    delete from steward.event_type_flags g using left_there d where g.event_type_id = d.event_type_id and not d.needs_location),
  told as (
    insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
    select organization, run, 'removed', array_agg(d.event_type_id), array_agg(d.owner_id),
           array_agg(jsonb_array_length(d.before) - jsonb_array_length(d.others)), array_agg(d.cause), array_agg(d.needs_location)
      from left_there d having count(*) > 0)
  select (select count(*) from removed)::integer, (select count(*) from archived)::integer,
         (select count(*) from left_there where fallback is not null)::integer, (select count(*) from flag)::integer;
end $$;

create or replace function steward.restore_locations_json(organization uuid, run uuid, event_types uuid[], owners uuid[])
returns table (event_types_done integer, locations integer, fallbacks integer)
language plpgsql volatile as $$
#variable_conflict use_column
begin
  return query
  with facts as (select * from steward.location_facts(organization)),
  archive as materialized (
    select a.* from facts f, steward.returnable_archives(organization, event_types, 'json', f.restore_generations) a),
  done as materialized (
    select a.event_type_id, k.owner_id, count(*)::integer as locations, bool_or(a.fallback is not null) as fallback,
           array_agg(a.content) as elements, array_agg(a.place) as places
      from archive a join unnest(event_types, owners) as k (event_type_id, owner_id) on k.event_type_id = a.event_type_id
     group by 1, 2),
  taken as (delete from steward.archived_locations x using archive a where x.id = a.id returning 1),
  restored as (
    -- With a fallback nothing else was there, and nobody edited it: it goes.
    update steward_app.event_types e
       set locations = case when cardinality(d.elements) = 1
             then jsonb_insert(case when d.fallback then '[]' else e.locations end, array[d.places[1]::text], d.elements[1])
             else steward.with_elements(case when d.fallback then '[]' else e.locations end, d.elements, d.places) end
      from done d where e.id = d.event_type_id and e.organization_id = organization returning 1),
  unflagged as (delete from steward.event_type_flags g where g.event_type_id = any(event_types)),
  told as (
    insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
    select organization, run, 'restored', array_agg(d.event_type_id), array_agg(d.owner_id), array_agg(d.locations), array_agg(null::text), array_agg(false)
      from done d having count(*) > 0)
  select (select count(*) from restored)::integer, (select count(*) from taken)::integer, (select count(*) from done where fallback)::integer;
end $$;
