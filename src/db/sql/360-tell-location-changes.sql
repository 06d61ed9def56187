-- Tells what happened to Zoom locations: one event an owner and kind of change, for one run or, without one, for
-- all of the organization that is still untold. Lists at most 100 event types an event; the counts are whole.
create or replace function steward.tell_location_changes(organization uuid, run uuid default null) returns integer
language plpgsql volatile as $$
declare
  told integer;
begin
  with taken as (
    delete from steward.untold_location_changes u
     where u.organization_id = organization and (run is null or u.run_id = run)
    returning u.*),
  each as (
    select t.id, t.run_id, t.change, c.event_type_id, c.owner_id, c.locations, c.cause, c.needs_location
      from taken t
     cross join lateral unnest(t.event_type_ids, t.owner_member_ids, t.locations, t.causes, t.needs_location)
                     as c (event_type_id, owner_id, locations, cause, needs_location)
     order by c.owner_id, t.change, t.id),
  -- Sorted once, above: the lists are in the order of writing without a sort of each.
  grouped as materialized (
    select owner_id, change, count(*) as event_types, nullif(sum(locations), 0) as locations, (array_agg(event_type_id))[1:100] as ids,
           min(cause) as cause, max(cause) as other_cause, array_agg(cause) as causes, (array_agg(run_id))[count(*)] as run_id,
           count(*) filter (where needs_location) as empty, (array_agg(event_type_id) filter (where needs_location))[1:100] as empty_ids,
           (array_agg(run_id) filter (where needs_location))[count(*) filter (where needs_location)] as empty_run_id
      from each group by owner_id, change),
  events as (
    select 'locations.' || change as type, owner_id, event_types, locations, ids, run_id,
           case when cause = other_cause then array[cause]
                when cause is not null then array(select distinct c from unnest(causes) c where c is not null order by c) end as causes from grouped
    union all
    select 'event_type.needs_location', owner_id, empty, null, empty_ids, empty_run_id, null from grouped where empty > 0)
  insert into steward.events (organization_id, type, subject_id, data, created_at)
  select organization, g.type, g.owner_id, case when g.owner_id is null or g.locations is null or g.causes is null then jsonb_strip_nulls(d.data) else d.data end,
         (select steward.now())
    from (select * from events order by owner_id, type desc offset 0) g
   cross join lateral (select to_jsonb(r) as data from (select g.owner_id as "ownerId", g.run_id as "runId", g.event_types as "eventTypes",
                         g.locations, g.causes, g.ids as "eventTypeIds") r) d;
  get diagnostics told = row_count;
  return told;
end $$;
