-- The row adapter: locations are rows of steward_app.locations.

-- A page of event types with Zoom, in order of id.
create or replace function steward.zoom_event_types_rows(organization uuid, after uuid, page_size integer) returns uuid[]
language plpgsql stable as $$
begin
  return array(select distinct l.event_type_id from steward_app.locations l
                where l.organization_id = organization and l.event_type_id > after and l.kind = 'zoom_conference'
                order by 1 limit page_size);
end $$;

-- The columns that the main app's table of locations has now.
create or replace function steward.columns_of_locations() returns text[]
language plpgsql stable as $$
begin
  return array(select c.attname::text from pg_attribute c
                where c.attrelid = 'steward_app.locations'::regclass and c.attnum > 0 and not c.attisdropped);
end $$;

-- The fingerprint of an event type's other locations. Without any it has no row here; its fingerprint is md5('').
create or replace function steward.location_neighbours_rows(event_types uuid[])
returns table (event_type_id uuid, neighbours text)
language sql stable parallel safe as $$
  select l.event_type_id, md5(string_agg(steward.location_print(l.id, l.position, l.kind, l.details, l.updated_at), chr(30) order by l.position, l.id))
    from steward_app.locations l where l.event_type_id = any((select event_types)::uuid[]) and l.kind <> 'zoom_conference' group by l.event_type_id
$$;

-- The copies of these event types that return where somebody can host: they may (steward.returnable_archives), no Zoom
-- is there, nobody edited what was left, and nobody made a row with their id since. waits: only once a person accepts; older:
-- the main app's table has a column by now that the copy lacks.
drop function if exists steward.returning_copies_rows(uuid, uuid[], bigint[], boolean);
create or replace function steward.returning_copies_rows(organization uuid, event_types uuid[], accepted_generations bigint[], also_offered boolean default false)
returns table (id uuid, event_type_id uuid, fallback_id uuid, waits boolean, older boolean)
language plpgsql stable
-- Planned for these lists, and hashed whatever there is: see steward.lock_event_types, and of tables without statistics the
-- planner would think too little.
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  known text[] := steward.columns_of_locations();
  copies uuid[];
  types uuid[];
  prints text[];
  locations uuid[];
  fallbacks uuid[];
  waiting boolean[];
  lacking boolean[];
  taken uuid[];
begin
  select array_agg(a.id), array_agg(a.event_type_id), array_agg(a.neighbours), array_agg((a.content ->> 'id')::uuid), array_agg((a.fallback ->> 'id')::uuid),
         array_agg(a.offered and a.accepted_at is null and a.generation <> all(accepted_generations)), array_agg(not a.content ?& known)
    into copies, types, prints, locations, fallbacks, waiting, lacking
    from steward.returnable_archives(organization, event_types, 'rows', accepted_generations, also_offered) a
   where not exists (select from steward_app.locations l
                      where l.organization_id = organization and l.event_type_id = any(event_types) and l.kind = 'zoom_conference'
                        and l.event_type_id = a.event_type_id);
  if copies is null then return; end if;
  taken := array(select l.id from steward_app.locations l where l.id = any((select locations)::uuid[]));
  return query
  select c.id, c.event_type_id, c.fallback, c.waits, c.lacking
    from unnest(copies, types, prints, locations, fallbacks, waiting, lacking) as c (id, event_type_id, neighbours, location, fallback, waits, lacking)
    left join steward.location_neighbours_rows(types) n on n.event_type_id = c.event_type_id
   where c.neighbours = coalesce(n.neighbours, md5(''))
     and not exists (select from unnest(taken) t where t = c.location);
end $$;

-- Those of these event types that have nothing but Zoom.
create or replace function steward.only_zoom_rows(event_types uuid[]) returns setof uuid
language sql stable parallel safe as $$
  select l.event_type_id from steward_app.locations l where l.event_type_id = any(event_types)
   group by l.event_type_id having bool_and(l.kind = 'zoom_conference')
$$;

-- Of these event types, what is to be done now: remove, restore, or unflag. Planning also names what only a person's
-- word brings back (offered) and where Zoom stays (keep), and how many can host. Reads only.
drop function if exists steward.location_work_rows(uuid, uuid[], jsonb, boolean);
create or replace function steward.location_work_rows(organization uuid, event_types uuid[], assumed jsonb default null, planning boolean default false)
returns table (event_type_id uuid, kind text, owner_id uuid, todo text, cause text, zoom integer, can_host integer)
language plpgsql stable as $$
#variable_conflict use_column
declare
  facts record;
  decided uuid[];
  kinds text[];
  owners uuid[];
  keeps boolean[];
  hosts integer[];
  causes text[];
  archived_types uuid[];
  archived_zoom integer[];
  archived_waits boolean[];
begin
  select * into facts from steward.location_facts(organization, assumed);
  select array_agg(d.event_type_id), array_agg(d.kind), array_agg(d.owner_id), array_agg(d.kept), array_agg(d.can_host), array_agg(d.cause)
    into decided, kinds, owners, keeps, hosts, causes from steward.location_decisions(organization, event_types, assumed) d;
  -- Only of what somebody can host: fingerprints cost most.
  select array_agg(x.event_type_id), array_agg(x.zoom), array_agg(x.waits) into archived_types, archived_zoom, archived_waits
    from (select c.event_type_id, count(*) as zoom, bool_or(c.waits) as waits
            from steward.returning_copies_rows(organization,
                   array(select d.event_type_id from unnest(decided, hosts) as d (event_type_id, can_host) where d.can_host > 0),
                   facts.restore_generations, planning) c
           group by c.event_type_id) x;
  return query
  with decided as materialized (
    select * from unnest(decided, kinds, owners, keeps, hosts, causes) as d (event_type_id, kind, owner_id, kept, can_host, cause)),
  present as materialized (
    select l.event_type_id, count(*)::integer as zoom from steward_app.locations l
     where l.organization_id = organization and l.event_type_id = any(event_types) and l.kind = 'zoom_conference' group by l.event_type_id),
  archived as materialized (
    select * from unnest(archived_types, archived_zoom, archived_waits) as a (event_type_id, zoom, waits)),
  flagged as materialized (
    select f.event_type_id, exists (select from steward_app.locations l where l.event_type_id = f.event_type_id) as filled
      from steward.event_type_flags f where f.event_type_id = any(event_types)),
  work as (
    select d.event_type_id, d.kind, d.owner_id,
           case when p.zoom > 0 and not d.kept then 'remove'
                when a.event_type_id is not null then case when a.waits then 'offered' else 'restore' end
                when f.filled then 'unflag'
                when planning and p.zoom > 0 then 'keep' end as todo,
           d.cause, coalesce(p.zoom, a.zoom, 0) as zoom, d.can_host
      from decided d
      left join present p on p.event_type_id = d.event_type_id
      left join archived a on a.event_type_id = d.event_type_id
      left join flagged f on f.event_type_id = d.event_type_id)
  select * from work where todo is not null;
end $$;

-- Waits for edits under way on these event types and their Zoom locations, and keeps new ones waiting until the
-- transaction ends. Not "for update" on the event type: that would also stop bookings that refer to it. The other
-- locations are not even locked: an edit of them is in time when it commits before we look, and later if not.
drop function if exists steward.lock_locations_rows(uuid, uuid[]);
create or replace function steward.lock_locations_rows(organization uuid, event_types uuid[], out ids uuid[], out kinds text[], out owners uuid[])
language plpgsql volatile
-- As in steward.lock_event_types.
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  select l.ids, l.kinds, l.owners into ids, kinds, owners from steward.lock_event_types(organization, event_types) l;
  perform from steward_app.locations l
    where l.organization_id = organization and l.event_type_id = any(event_types) and l.kind = 'zoom_conference'
    order by l.event_type_id, l.id for update;
end $$;

-- Archives and removes the Zoom locations of these event types, all or none of an event type's, and leaves the
-- fallback or the flag where nothing else is there. Call it on locked event types and Zoom rows: what goes
-- here is what was seen.
create or replace function steward.remove_locations_rows(organization uuid, run uuid, event_types uuid[], causes text[], owners uuid[])
returns table (event_types_done integer, locations integer, fallbacks integer, flagged integer)
language plpgsql volatile
-- Planned for these lists, and hashed whatever there is: see steward.lock_event_types, and of tables without statistics the
-- planner would think too little.
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set enable_seqscan = off
-- What is left beside is grouped in the order of the index.
set enable_bitmapscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  facts record;
  at timestamptz := steward.now();
  -- Ids of copies are random by the chunk and counted within: at random each would go to another page of the index.
  series constant text := left(gen_random_uuid()::text, 24);
  instead jsonb;
begin
  select * into facts from steward.location_facts(organization);
  instead := coalesce(facts.fallback -> 'details', '{}');
  perform steward.supersede_archives(organization, event_types);
  return query
  with zoom as (
    delete from steward_app.locations l
     where l.organization_id = organization and l.event_type_id = any(event_types) and l.kind = 'zoom_conference' returning l.*),
  others as materialized (select * from steward.location_neighbours_rows(event_types)),
  done as materialized (
    select a.event_type_id, a.cause, a.owner_id, z.locations, z.place, o.neighbours,
           case when o.event_type_id is null and facts.fallback is not null then gen_random_uuid() end as fallback_id
      from unnest(event_types, causes, owners) as a (event_type_id, cause, owner_id)
      join (select event_type_id, count(*)::integer as locations, min(position) as place from zoom group by event_type_id) z
        on z.event_type_id = a.event_type_id
      left join others o on o.event_type_id = a.event_type_id),
  archived as (
    insert into steward.archived_locations (id, organization_id, event_type_id, adapter, place, content, neighbours, cause, offered, generation,
                                            run_id, archived_at, expires_at, fallback)
    select (series || lpad(to_hex(row_number() over ()), 12, '0'))::uuid, organization, z.event_type_id, 'rows', z.position, to_jsonb(z),
           coalesce(d.neighbours, md5(coalesce(steward.location_print(d.fallback_id, d.place, facts.fallback ->> 'kind', instead, at), ''))),
           d.cause, steward.rule_offered(d.cause, facts.disconnect_cause), facts.generation, run, at, at + facts.expires_after,
           case when d.fallback_id is not null then jsonb_build_object('id', d.fallback_id, 'event_type_id', d.event_type_id, 'organization_id', organization,
             'position', d.place, 'kind', facts.fallback ->> 'kind', 'details', instead, 'created_at', at, 'updated_at', at) end
      from zoom z join done d on d.event_type_id = z.event_type_id),
  fallback as (
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details, created_at, updated_at)
    select d.fallback_id, d.event_type_id, organization, d.place, facts.fallback ->> 'kind', instead, at, at
      from done d where d.fallback_id is not null returning 1),
  flag as (
    insert into steward.event_type_flags (event_type_id, organization_id, needs_location_since, run_id)
    select d.event_type_id, organization, at, run from done d where d.neighbours is null and d.fallback_id is null
    on conflict (event_type_id) do nothing returning 1),
  unflagged as (
    delete from steward.event_type_flags g using done d
     where g.event_type_id = any((select event_types)::uuid[]) and g.event_type_id = d.event_type_id
       and (d.neighbours is not null or d.fallback_id is not null)),
  told as (
    insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
    select organization, run, 'removed', array_agg(d.event_type_id), array_agg(d.owner_id), array_agg(d.locations), array_agg(d.cause),
           array_agg(d.neighbours is null and d.fallback_id is null)
      from done d having count(*) > 0)
  select (select count(*) from done)::integer, (select count(*) from zoom)::integer,
         (select count(*) from fallback)::integer, (select count(*) from flag)::integer;
end $$;

-- Puts these copies back into the main app's table, and deletes them. A copy that is older than a column of that table lacks it,
-- and the column gets its default: copies with the same columns go in together.
-- A copy that is gone by now, as pruning does not wait for us, ends the transaction: what was inserted instead of it would be gone
-- already, and the event type be left without location. Whoever tries again does not find the copy.
create or replace function steward.put_back_rows(copies uuid[], older uuid[]) returns integer
language plpgsql volatile as $$
declare
  known text[] := steward.columns_of_locations();
  lacking text[];
  alike uuid[];
  columns text;
  sources text;
  missing integer := cardinality(copies);
  found integer;
  inserted integer;
  locations integer := 0;
begin
  for lacking, alike in
    select '{}'::text[], case when older is null then copies else array(select k from unnest(copies) k where k <> all(older)) end
    union all
    select x.lacks, array_agg(x.id)
      from (select a.id, array(select n from unnest(known) n where not a.content ? n) as lacks from steward.archived_locations a where a.id = any(older)) x
     group by x.lacks
  loop
    -- In a record a JSON null becomes no value at all.
    select string_agg(format('%I', c.attname), ', ' order by c.attnum),
           string_agg(case c.attname when 'details' then 'coalesce((r).details, ''null'')' else format('(r).%I', c.attname) end, ', ' order by c.attnum)
      into columns, sources
      from pg_attribute c
     where c.attrelid = 'steward_app.locations'::regclass and c.attnum > 0 and not c.attisdropped and c.attgenerated = '' and c.attidentity <> 'a'
       and c.attname <> all(lacking);
    -- As a value and not from a relation, which costs twice as much; "offset 0": made once a row, not once a column.
    execute format('with taken as (delete from steward.archived_locations x where x.id = any((select $1)::uuid[]) returning x.content),
                    back as (
                      insert into steward_app.locations (%s) select %s from (
                        select jsonb_populate_record(null::steward_app.locations, t.content) as r from taken t offset 0) as made
                      returning 1)
                    select (select count(*) from taken), (select count(*) from back)',
                   columns, sources) into found, inserted using alike;
    missing := missing - found;
    locations := locations + inserted;
  end loop;
  if missing > 0 then
    raise exception 'steward.put_back_rows: % of % copies expired and were pruned meanwhile', missing, cardinality(copies)
      using errcode = 'serialization_failure';
  end if;
  return locations;
end $$;

-- Brings the archived locations of these event types back where they return: same id, place, details and timestamps; what
-- was inserted instead goes. Call it on locked event types that somebody can host.
-- Whole rows, also columns of the main app that we do not know; one that it added since gets its default.
create or replace function steward.restore_locations_rows(organization uuid, run uuid, event_types uuid[], owners uuid[])
returns table (event_types_done integer, locations integer, fallbacks integer)
language plpgsql volatile as $$
#variable_conflict use_column
declare
  accepted bigint[] := (select f.restore_generations from steward.location_facts(organization) f);
  copies uuid[];
  types uuid[];
  instead uuid[];
  older uuid[];
begin
  event_types_done := 0; locations := 0; fallbacks := 0;
  select array_agg(c.id), array_agg(c.event_type_id), array_agg(c.fallback_id) filter (where c.fallback_id is not null),
         array_agg(c.id) filter (where c.older)
    into copies, types, instead, older
    from steward.returning_copies_rows(organization, event_types, accepted) c;
  if copies is null then
    return next;
    return;
  end if;
  if instead is not null then
    delete from steward_app.locations l where l.id = any(instead);
    get diagnostics fallbacks = row_count;
  end if;
  locations := steward.put_back_rows(copies, older);
  delete from steward.event_type_flags g where g.event_type_id = any(types);
  insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
  select organization, run, 'restored', array_agg(d.event_type_id), array_agg(o.owner_id), array_agg(d.n), array_agg(null::text), array_agg(false)
    from (select t as event_type_id, count(*)::integer as n from unnest(types) t group by t) d
    join unnest(event_types, owners) as o (event_type_id, owner_id) on o.event_type_id = d.event_type_id
  returning cardinality(event_type_ids) into event_types_done;
  return next;
end $$;
