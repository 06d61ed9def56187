-- Makes the Zoom locations of these event types what they should be; everything else stays as it is. One call is
-- one transaction's worth of work, by either adapter: look, lock what has something to do, look again, write.
-- What will almost certainly change is locked without the first look, and asked one question after it: in a cascade those
-- that have_zoom, and, once the connection is active again, what a cascade took (coming_back). Only runs of an organization
-- name these: who can host what comes back is taken from what they stored (steward.hosted_event_types).
drop function if exists steward.reconcile_locations(uuid, uuid, text, uuid[], uuid[]);
create or replace function steward.reconcile_locations(organization uuid, run uuid, from_adapter text, event_types uuid[],
                                                      have_zoom uuid[] default '{}', coming_back uuid[] default '{}')
returns table (removed_event_types integer, removed integer, restored_event_types integer, restored integer,
               fallbacks_inserted integer, fallbacks_removed integer, needs_location integer, unflagged integer)
language plpgsql volatile
-- Lists of ids of unknown length make a plan for ten of them.
set plan_cache_mode = 'force_custom_plan'
set jit = off
-- Without statistics the fingerprints of a page would read the locations of everybody.
set enable_seqscan = off
as $$
declare
  facts record;
  sure uuid[];
  unsure uuid[];
  locked uuid[];
  going uuid[] := '{}';
  causes text[];
  going_owners uuid[];
  coming uuid[];
  coming_owners uuid[];
  flagged uuid[];
  held uuid[];
  kinds text[];
  owners uuid[];
  flags uuid[];
  done record;
begin
  if from_adapter not in ('rows', 'json') then
    raise exception 'steward.reconcile_locations: expected the adapter rows or json, got %; see docs/locations.md', from_adapter using errcode = '22023';
  end if;
  removed_event_types := 0; removed := 0; restored_event_types := 0; restored := 0;
  fallbacks_inserted := 0; fallbacks_removed := 0; needs_location := 0; unflagged := 0;
  select * into facts from steward.location_facts(organization);
  if facts.observe or coalesce(cardinality(event_types), 0) = 0 then
    return next;
    return;
  end if;

  sure := case facts.org_state
    when 'disconnecting' then case when have_zoom = event_types then have_zoom else array(select k from unnest(have_zoom) k where k = any(event_types)) end
    when 'active' then case when coming_back = event_types then coming_back else array(select k from unnest(coming_back) k where k = any(event_types)) end
    else '{}' end;
  unsure := case when cardinality(sure) = 0 then event_types
                 when sure = event_types then '{}'
                 else array(select k from unnest(event_types) k where k <> all(sure)) end;
  if cardinality(unsure) > 0 then
    if from_adapter = 'rows' then
      locked := sure || array(select w.event_type_id from steward.location_work_rows(organization, unsure) w);
    else
      locked := sure || array(select w.event_type_id from steward.location_work_json(organization, unsure) w);
    end if;
  else
    locked := sure;
  end if;
  if cardinality(locked) = 0 then
    return next;
    return;
  end if;

  -- Whoever edited before the lock is waited for and seen by the looks after it. In a cascade as well: to wait for Zoom rows only
  -- when they are deleted would be to decide before the wait.
  select l.ids, l.kinds, l.owners into held, kinds, owners from steward.lock_locations(organization, from_adapter, locked) l;
  if facts.org_state = 'disconnecting' then
    -- What has Zoom has one question in a cascade: does somebody keep it. Not where a flag stands beside it: then
    -- somebody gave the event type a location since, and there may be more to do.
    flags := array(select f.event_type_id from steward.event_type_flags f where f.event_type_id = any(sure));
    if cardinality(unsure) > 0 or cardinality(flags) > 0 then
      select array_agg(k.id), array_agg(k.kind), array_agg(k.owner_id) into held, kinds, owners
        from unnest(held, kinds, owners) as k (id, kind, owner_id) where k.id = any(sure) and k.id <> all(flags);
    end if;
    select t.going, t.causes, t.going_owners into going, causes, going_owners from steward.cascade_takes(organization, held, kinds, owners) t;
    locked := case when cardinality(flags) = 0 and sure = locked then '{}' else array(select k from unnest(locked) k where k <> all(sure) or k = any(flags)) end;
  elsif from_adapter = 'rows' and cardinality(sure) > 0 then
    -- What a cascade took has one question as well: can somebody host it. Where it does not return and a flag stands,
    -- somebody may have given the event type a location since.
    if cardinality(unsure) > 0 then
      select array_agg(k.id), array_agg(k.kind), array_agg(k.owner_id) into held, kinds, owners
        from unnest(held, kinds, owners) as k (id, kind, owner_id) where k.id = any(sure);
    end if;
    select array_agg(h.event_type_id), array_agg(h.owner_id) into coming, coming_owners from steward.hosted_event_types(organization, held, kinds, owners) h;
    select * into done from steward.restore_locations_rows(organization, run, coming, coming_owners);
    restored_event_types := done.event_types_done; restored := done.locations; fallbacks_removed := done.fallbacks;
    flags := array(select f.event_type_id from steward.event_type_flags f where f.event_type_id = any(sure));
    locked := case when cardinality(flags) = 0 and sure = locked then '{}' else array(select k from unnest(locked) k where k <> all(sure) or k = any(flags)) end;
    coming := null;
  end if;
  if cardinality(locked) > 0 then
    if from_adapter = 'rows' then
      select going || array_agg(w.event_type_id) filter (where w.todo = 'remove'), causes || array_agg(w.cause) filter (where w.todo = 'remove'),
             going_owners || array_agg(w.owner_id) filter (where w.todo = 'remove'), array_agg(w.event_type_id) filter (where w.todo = 'restore'),
             array_agg(w.owner_id) filter (where w.todo = 'restore'), array_agg(w.event_type_id) filter (where w.todo = 'unflag')
        into going, causes, going_owners, coming, coming_owners, flagged from steward.location_work_rows(organization, locked) w;
    else
      select going || array_agg(w.event_type_id) filter (where w.todo = 'remove'), causes || array_agg(w.cause) filter (where w.todo = 'remove'),
             going_owners || array_agg(w.owner_id) filter (where w.todo = 'remove'), array_agg(w.event_type_id) filter (where w.todo = 'restore'),
             array_agg(w.owner_id) filter (where w.todo = 'restore'), array_agg(w.event_type_id) filter (where w.todo = 'unflag')
        into going, causes, going_owners, coming, coming_owners, flagged from steward.location_work_json(organization, locked) w;
    end if;
  end if;

  if cardinality(going) > 0 then
    if from_adapter = 'rows' then
      select * into done from steward.remove_locations_rows(organization, run, going, causes, going_owners);
    else
      select * into done from steward.remove_locations_json(organization, run, going, causes, going_owners);
    end if;
    removed_event_types := done.event_types_done; removed := done.locations;
    fallbacks_inserted := done.fallbacks; needs_location := done.flagged;
  end if;
  if coming is not null then
    if from_adapter = 'rows' then
      select * into done from steward.restore_locations_rows(organization, run, coming, coming_owners);
    else
      select * into done from steward.restore_locations_json(organization, run, coming, coming_owners);
    end if;
    restored_event_types := restored_event_types + done.event_types_done;
    restored := restored + done.locations;
    fallbacks_removed := fallbacks_removed + done.fallbacks;
  end if;
  if flagged is not null then
    delete from steward.event_type_flags f where f.event_type_id = any(flagged);
    get diagnostics unflagged = row_count;
  end if;
  return next;
end $$;

-- One chunk of an organization: the next page of event types after a key. last_event_type_id is null at the end. Where
-- nothing may_go (steward.zoom_may_go), those that have Zoom are not even looked up, only copies that could return and flags.
-- With a bound the pages end there, as if the organization did.
drop function if exists steward.reconcile_locations_page(uuid, uuid, text, uuid, integer);
drop function if exists steward.reconcile_locations_page(uuid, uuid, text, uuid, integer, boolean);
create or replace function steward.reconcile_locations_page(organization uuid, run uuid, from_adapter text, after uuid, page_size integer,
                                                           may_go boolean default true, bound uuid default null)
returns table (last_event_type_id uuid, event_types integer, removed_event_types integer, removed integer, restored_event_types integer,
               restored integer, fallbacks_inserted integer, fallbacks_removed integer, needs_location integer, unflagged integer)
language plpgsql volatile
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
declare
  -- The nil id is nobody's: it stands before the first.
  start_after uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
  with_zoom uuid[] := '{}';
  page record;
begin
  if not may_go then
    null;
  elsif from_adapter = 'rows' then
    with_zoom := steward.zoom_event_types_rows(organization, start_after, page_size);
  else
    with_zoom := steward.zoom_event_types_json(organization, start_after, page_size);
  end if;
  select * into page from steward.location_page(organization, start_after, page_size, with_zoom, false);
  if bound is not null and coalesce(page.upto > bound, true) then
    page.upto := null;
    page.event_types := array(select k from unnest(page.event_types) k where k <= bound order by k);
  end if;
  -- A flag outlives its event type by one pass at most: nobody can give a location to what is deleted or moved away.
  if not (select f.observe from steward.location_facts(organization) f) then
    delete from steward.event_type_flags f
     where f.organization_id = organization and f.event_type_id > start_after and f.event_type_id <= coalesce(page.upto, bound, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       and not exists (select from steward_app.event_types e where e.id = f.event_type_id and e.organization_id = organization);
  end if;
  return query
  select page.upto, cardinality(page.event_types), d.*
    from steward.reconcile_locations(organization, run, from_adapter, page.event_types, with_zoom, page.returning_types) d;
end $$;
