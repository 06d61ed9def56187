-- The events of changes of locations: one an owner, for changes of one kind. Lists at most 100 event types; the counts are
-- whole. `run` and `why` hold for all of them, where given.
create or replace function steward.location_events(change text, run uuid, why text, event_types uuid[], owners uuid[], location_counts integer[],
                                                   empty boolean[], runs uuid[], causes text[])
returns table (type text, owner_id uuid, data jsonb)
language sql stable as $$
  select e.type, g.owner_id, e.data
    from (select c.owner_id, count(*) as event_types, nullif(sum(c.locations), 0) as locations, (array_agg(c.event_type_id))[1:100] as ids,
                 min(c.cause) as cause, max(c.cause) as other_cause, array_agg(c.cause) filter (where c.cause is not null) as causes,
                 (array_agg(c.run_id) filter (where run is null))[count(*)] as run_id,
                 count(*) filter (where c.empty) as empty, (array_agg(c.event_type_id) filter (where c.empty))[1:100] as empty_ids,
                 (array_agg(c.run_id) filter (where run is null and c.empty))[count(*) filter (where c.empty)] as empty_run_id
            -- Sorted once: the lists are in the order of writing without a sort of each.
            from (select * from unnest(event_types, owners, location_counts, empty, runs, causes)
                           with ordinality as u (event_type_id, owner_id, locations, empty, run_id, cause, n)
                   order by u.owner_id, u.n) c
           group by c.owner_id) g
   cross join lateral (
     -- What most have is made as it is: to take nulls out of it costs as much as to make it.
     select 'locations.' || change as type,
            case when g.owner_id is null or g.locations is null
                 then jsonb_strip_nulls((select to_jsonb(d) from (select g.owner_id as "ownerId", m.run_id as "runId", g.event_types as "eventTypes",
                                                                         g.locations, m.causes, g.ids as "eventTypeIds") d))
                 when m.causes is null
                 then (select to_jsonb(d) from (select g.owner_id as "ownerId", m.run_id as "runId", g.event_types as "eventTypes",
                                                       g.locations, g.ids as "eventTypeIds") d)
                 else (select to_jsonb(d) from (select g.owner_id as "ownerId", m.run_id as "runId", g.event_types as "eventTypes",
                                                       g.locations, m.causes, g.ids as "eventTypeIds") d) end as data
       from (select coalesce(run, g.run_id) as run_id,
                    case when why is not null then array[why]
                         when g.cause = g.other_cause then array[g.cause]
                         when g.cause is not null then array(select distinct w from unnest(g.causes) w order by w) end as causes) m
     union all
     select 'event_type.needs_location',
            case when g.owner_id is null
                 then (select to_jsonb(d) from (select coalesce(run, g.empty_run_id) as "runId", g.empty as "eventTypes", g.empty_ids as "eventTypeIds") d)
                 else (select to_jsonb(d) from (select g.owner_id as "ownerId", coalesce(run, g.empty_run_id) as "runId", g.empty as "eventTypes",
                                                       g.empty_ids as "eventTypeIds") d) end
      where g.empty > 0) e
$$;
