-- The events of changes of locations: one an owner, for changes of one kind. Lists at most 100 event types; the counts are
-- whole. `run` and `why` hold for all of them, where given. Each of the two kinds of events is asked for by itself: to ask
-- for both of each owner costs as much as to sort anew what left nothing, where something did.
create or replace function steward.location_events(change text, run uuid, why text, event_types uuid[], owners uuid[], location_counts integer[],
                                                   empty boolean[], runs uuid[], causes text[])
returns table (type text, owner_id uuid, data jsonb)
language sql stable as $$
  select 'locations.' || change, m.owner_id,
         -- What most have is made as it is: to take nulls out of it costs as much as to make it.
         case when m.owner_id is null or m.locations is null
              then jsonb_strip_nulls((select to_jsonb(d) from (select m.owner_id as "ownerId", m.run_id as "runId", m.event_types as "eventTypes",
                                                                      m.locations, m.causes, m.ids as "eventTypeIds") d))
              when m.causes is null
              then (select to_jsonb(d) from (select m.owner_id as "ownerId", m.run_id as "runId", m.event_types as "eventTypes",
                                                    m.locations, m.ids as "eventTypeIds") d)
              else (select to_jsonb(d) from (select m.owner_id as "ownerId", m.run_id as "runId", m.event_types as "eventTypes",
                                                    m.locations, m.causes, m.ids as "eventTypeIds") d) end
    from (select g.owner_id, g.event_types, g.locations, g.ids, coalesce(run, g.run_id) as run_id,
                 case when why is not null then array[why]
                      when g.cause = g.other_cause then array[g.cause]
                      when g.cause is not null then array(select distinct w from unnest(g.causes) w order by w) end as causes
            from (select c.owner_id, count(*) as event_types, nullif(sum(c.locations), 0) as locations, (array_agg(c.event_type_id))[1:100] as ids,
                         min(c.cause) as cause, max(c.cause) as other_cause, array_agg(c.cause) filter (where c.cause is not null) as causes,
                         (array_agg(c.run_id) filter (where run is null))[count(*)] as run_id
                    -- Sorted once: the lists are in the order of writing without a sort of each.
                    from (select * from unnest(event_types, owners, location_counts, runs, causes)
                                   with ordinality as u (event_type_id, owner_id, locations, run_id, cause, n)
                           order by u.owner_id, u.n) c
                   group by c.owner_id) g) m
  union all
  select 'event_type.needs_location', g.owner_id,
         case when g.owner_id is null
              then (select to_jsonb(d) from (select coalesce(run, g.run_id) as "runId", g.event_types as "eventTypes", g.ids as "eventTypeIds") d)
              else (select to_jsonb(d) from (select g.owner_id as "ownerId", coalesce(run, g.run_id) as "runId", g.event_types as "eventTypes",
                                                    g.ids as "eventTypeIds") d) end
    from (select c.owner_id, count(*) as event_types, (array_agg(c.event_type_id))[1:100] as ids,
                 (array_agg(c.run_id) filter (where run is null))[count(*)] as run_id
            from (select * from unnest(event_types, owners, empty, runs) with ordinality as u (event_type_id, owner_id, nothing_left, run_id, n)
                   where true = any(empty) and u.nothing_left order by u.owner_id, u.n) c
           group by c.owner_id) g
$$;
