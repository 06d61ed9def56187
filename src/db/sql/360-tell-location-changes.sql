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
                     as c (event_type_id, owner_id, locations, cause, needs_location)),
  grouped as (
    select 'locations.' || change as type, owner_id, count(*) as event_types, sum(locations) as locations,
           (array_agg(event_type_id order by id))[1:100] as ids, array_agg(distinct cause) filter (where cause is not null) as causes,
           (array_agg(run_id order by id desc))[1] as run_id
      from each group by change, owner_id
    union all
    select 'event_type.needs_location', owner_id, count(*), 0, (array_agg(event_type_id order by id))[1:100], null, (array_agg(run_id order by id desc))[1]
      from each where needs_location group by owner_id)
  insert into steward.events (organization_id, type, subject_id, data, created_at)
  select organization, g.type, g.owner_id,
         jsonb_strip_nulls(jsonb_build_object('ownerId', g.owner_id, 'runId', g.run_id, 'eventTypes', g.event_types,
           'locations', nullif(g.locations, 0), 'causes', g.causes, 'eventTypeIds', g.ids)),
         (select steward.now())
    from grouped g order by g.owner_id, g.type desc;
  get diagnostics told = row_count;
  return told;
end $$;
