-- Which of the owners that a mass change tells belong together: their hours are kept in one row, and parts of a mass
-- change are ranges of it. Kept for an hour, so that a Postgres that hashes otherwise does no harm.
create or replace function steward.owner_bucket(owner uuid) returns integer
language sql immutable parallel safe as $$
  select (uuid_hash_extended(coalesce(owner, '00000000-0000-0000-0000-000000000000'), 0) & 4095)::integer
$$;

-- Untold changes of one kind in so many parts, all of an owner in one, in the order of writing. What is equal for all of
-- them, `run` and `why`, is not said of each.
create or replace function steward.untold_parts(untold bigint[], parts bigint, run uuid, why text)
returns table (event_type_ids uuid[], owner_member_ids uuid[], locations integer[], needs_location boolean[], run_ids uuid[], causes text[])
language sql stable as $$
  select array_agg(e.event_type_id), array_agg(e.owner_id), array_agg(e.locations), array_agg(e.needs_location),
         array_agg(e.run_id) filter (where run is null), array_agg(e.cause) filter (where why is null)
    from (select u.id, u.run_id, c.event_type_id, c.owner_id, c.locations, c.needs_location, c.cause,
                 case when parts > 1 then steward.owner_bucket(c.owner_id) * parts / 4096 end as part
            from steward.untold_location_changes u
           cross join lateral unnest(u.event_type_ids, u.owner_member_ids, u.locations, u.needs_location, case when why is null then u.causes end)
                           as c (event_type_id, owner_id, locations, needs_location, cause)
           where u.id = any(untold)
           order by part, u.id) e
   group by e.part
$$;

drop function if exists steward.tell_location_changes(uuid, uuid);

-- Tells what happened to Zoom locations: one event an owner and kind of change, for one run or, without one, for
-- all of the organization that is still untold. Of many it says so only, in batches: their events are written once, with
-- their positions (place_event_batch). Returns how many changes it told.
create or replace function steward.tell_location_changes(organization uuid, run uuid default null, singly bigint default 2000, in_batch bigint default 8000)
returns integer
language plpgsql volatile
-- What comes in the order of its groups is not gathered by hashes: all of it would be in memory at once.
set enable_hashagg = off
as $$
declare
  untold bigint[];
  total bigint;
  kind record;
begin
  select array_agg(u.id), coalesce(sum(cardinality(u.event_type_ids)), 0) into untold, total
    from (select id, event_type_ids from steward.untold_location_changes
           where organization_id = organization and (run is null or run_id = run) order by id for update) u;
  for kind in
    select u.change, array_agg(u.id) as untold, case when min(u.run_id::text) = max(u.run_id::text) then min(u.run_id::text)::uuid end as run_id,
           case when min(u.causes[1]) = max(u.causes[1]) and every(coalesce(u.causes[1] = all(u.causes), false)) then min(u.causes[1]) end as cause
      from steward.untold_location_changes u where u.id = any(untold) group by u.change order by u.change
  loop
    if total <= singly then
      insert into steward.events (organization_id, type, subject_id, data, created_at)
      select organization, e.type, e.owner_id, e.data, (select steward.now())
        from steward.untold_parts(kind.untold, 1, kind.run_id, kind.cause) p
       cross join lateral steward.location_events(kind.change, kind.run_id, kind.cause, p.event_type_ids, p.owner_member_ids, p.locations,
                                                  p.needs_location, p.run_ids, p.causes) e;
    else
      insert into steward.event_batches (organization_id, seq, change, run_id, cause, event_type_ids, owner_member_ids, locations, needs_location,
                                         run_ids, causes, created_at)
      select organization, nextval('steward.events_seq_seq'), kind.change, kind.run_id, kind.cause, p.*, (select steward.now())
        from steward.untold_parts(kind.untold, 1 + total / in_batch, kind.run_id, kind.cause) p;
    end if;
  end loop;
  delete from steward.untold_location_changes where id = any(untold);
  return total;
end $$;
