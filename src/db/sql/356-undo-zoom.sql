-- Taking back what a one-time run added (docs/locations.md), where nobody edited it since.

-- The fingerprint of an archived location, as add_zoom_rows and add_zoom_json take it of what they make.
create or replace function steward.archive_print(from_adapter text, content jsonb) returns text
language sql stable parallel safe as $$
  select case from_adapter
    when 'rows' then md5(steward.location_print((content ->> 'id')::uuid, (content ->> 'position')::integer, content ->> 'kind', content -> 'details',
                                                (content ->> 'updated_at')::timestamptz))
    else md5(content::text) end
$$;

-- What is to be done with this run's additions among these event types. Reads only.
--   remove   it is there, as we made it, and the list is not left emptier than it was
--   forget   it was archived since: the copy goes, so that it does not return
--   keep     somebody edited or removed it, or it is all there is now
create or replace function steward.undo_zoom_work(organization uuid, from_adapter text, event_types uuid[], one_time_run uuid)
returns table (event_type_id uuid, owner_id uuid, todo text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  asked uuid[];
  prints text[];
  alone boolean[];
begin
  select array_agg(s.event_type_id), array_agg(s.print), array_agg(s.alone) into asked, prints, alone
    from steward.zoom_starts s
   where s.organization_id = organization and s.event_type_id = any(event_types) and s.one_time_run_id = one_time_run and s.state = 'added';
  if asked is null then return; end if;
  return query
  with mine as materialized (select * from unnest(asked, prints, alone) as m (event_type_id, print, alone)),
  there as materialized (
    select m.event_type_id, count(*) as locations, count(*) filter (where l.kind = 'zoom_conference') as zoom,
           count(*) filter (where l.kind = 'zoom_conference'
             and md5(steward.location_print(l.id, l.position, l.kind, l.details, l.updated_at)) = m.print) as ours
      from mine m join steward_app.locations l on l.event_type_id = m.event_type_id and l.event_type_id = any(asked)
     where from_adapter = 'rows' group by m.event_type_id
    union all
    -- Elements are not known apart: one of several is somebody's.
    select m.event_type_id, jsonb_array_length(e.locations), z.n,
           case when z.n = 1 and md5((z.all_of_them -> 0)::text) = m.print then 1 else 0 end
      from mine m join steward_app.event_types e on e.id = m.event_type_id and e.id = any(asked)
     cross join lateral (select steward.only_zoom(e.locations) as all_of_them, jsonb_array_length(steward.only_zoom(e.locations)) as n) z
     where from_adapter = 'json' and jsonb_typeof(e.locations) = 'array'),
  copied as materialized (
    select distinct a.event_type_id from mine m
      join steward.archived_locations a on a.organization_id = organization and a.event_type_id = m.event_type_id and a.event_type_id = any(asked)
       and a.adapter = from_adapter and a.neighbours <> 'superseded' and steward.archive_print(a.adapter, a.content) = m.print
     where from_adapter = 'rows'
        or not exists (select from steward.archived_locations other
                        where other.organization_id = organization and other.event_type_id = a.event_type_id and other.id <> a.id
                          and other.neighbours <> 'superseded'))
  select m.event_type_id, e.host_member_id,
         case when t.ours > 0 and (t.locations > 1 or m.alone) then 'remove'
              when coalesce(t.zoom, 0) = 0 and c.event_type_id is not null then 'forget'
              else 'keep' end
    from mine m
    join steward_app.event_types e on e.id = m.event_type_id and e.id = any(asked) and e.organization_id = organization
    left join there t on t.event_type_id = m.event_type_id
    left join copied c on c.event_type_id = m.event_type_id;
end $$;

-- Takes this one-time run's additions out of these event types: look, lock, look again, write. Nothing is archived, and
-- every other location stays as it is.
create or replace function steward.undo_zoom(organization uuid, run uuid, from_adapter text, event_types uuid[], one_time_run uuid)
returns integer
language plpgsql volatile
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
declare
  asked uuid[];
  going uuid[];
  owners uuid[];
  forgotten uuid[];
begin
  select array_agg(w.event_type_id) into asked from steward.undo_zoom_work(organization, from_adapter, event_types, one_time_run) w where w.todo <> 'keep';
  if asked is null then return 0; end if;
  perform steward.lock_locations(organization, from_adapter, asked);
  select array_agg(w.event_type_id) filter (where w.todo = 'remove'), array_agg(w.owner_id) filter (where w.todo = 'remove'),
         array_agg(w.event_type_id) filter (where w.todo = 'forget')
    into going, owners, forgotten from steward.undo_zoom_work(organization, from_adapter, asked, one_time_run) w;
  if from_adapter = 'rows' then
    delete from steward_app.locations l using steward.zoom_starts s
     where l.organization_id = organization and l.event_type_id = any(going) and l.kind = 'zoom_conference'
       and s.organization_id = organization and s.event_type_id = l.event_type_id and s.event_type_id = any(going)
       and md5(steward.location_print(l.id, l.position, l.kind, l.details, l.updated_at)) = s.print;
  else
    update steward_app.event_types e set locations = steward.without_zoom(e.locations)
     where e.organization_id = organization and e.id = any(going);
  end if;
  delete from steward.archived_locations a using steward.zoom_starts s
   where a.organization_id = organization and a.event_type_id = any(forgotten) and a.adapter = from_adapter and a.neighbours <> 'superseded'
     and s.organization_id = organization and s.event_type_id = a.event_type_id and steward.archive_print(a.adapter, a.content) = s.print;
  update steward.zoom_starts s set state = 'undone', print = null, at = steward.now()
   where s.organization_id = organization and s.event_type_id = any(going || forgotten);
  insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
  select organization, run, 'removed', array_agg(g.id), array_agg(g.owner_id), array_agg(1), array_agg('one_time_run_undone'::text), array_agg(false)
    from unnest(going, owners) as g (id, owner_id) having count(*) > 0;
  return coalesce(cardinality(going), 0) + coalesce(cardinality(forgotten), 0);
end $$;

-- Of these event types those that somebody took a one-time run's addition out of: in JSON what they put there later may be equal
-- to what we made, and is theirs. A row has an id.
create or replace function steward.note_taken_out(organization uuid, from_adapter text, event_types uuid[]) returns void
language sql volatile as $$
  update steward.zoom_starts s set print = null
    from steward_app.event_types e
   where from_adapter = 'json' and s.organization_id = organization and s.event_type_id = any(event_types)
     and s.state = 'added' and s.one_time_run_id is not null and s.print is not null
     and e.id = s.event_type_id and not coalesce(e.locations @> '[{"kind": "zoom_conference"}]', false)
     and not exists (select from steward.archived_locations a where a.organization_id = organization and a.event_type_id = s.event_type_id)
$$;
