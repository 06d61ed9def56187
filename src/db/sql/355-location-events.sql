-- The events of changes of locations: one an owner, for changes of one kind. Lists at most 100 event types; the counts are
-- whole. `run` and `why` hold for all of them, where given.
create or replace function steward.location_events(change text, run uuid, why text, event_types uuid[], owners uuid[], location_counts integer[],
                                                   empty boolean[], runs uuid[], causes text[])
returns table (type text, owner_id uuid, data jsonb)
language sql stable as $$
  select e.type, e.owner_id,
         case when e.owner_id is null or e.locations is null or e.causes is null then jsonb_strip_nulls(d.data) else d.data end
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
     select 'locations.' || change as type, g.owner_id, g.event_types, g.locations, g.ids, g.run_id,
            case when why is not null then array[why]
                 when g.cause = g.other_cause then array[g.cause]
                 when g.cause is not null then array(select distinct w from unnest(g.causes) w order by w) end as causes
     union all
     select 'event_type.needs_location', g.owner_id, g.empty, null, g.empty_ids, g.empty_run_id, null where g.empty > 0) e
   cross join lateral (select to_jsonb(r) as data from (select e.owner_id as "ownerId", coalesce(run, e.run_id) as "runId", e.event_types as "eventTypes",
                         e.locations, e.causes, e.ids as "eventTypeIds") r) d
$$;
