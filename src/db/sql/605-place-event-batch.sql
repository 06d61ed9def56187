drop function if exists steward.place_event_batch(uuid, bigint);

-- Writes the events of one batch with their positions, or until when they are held back: as sequence_events does it, which
-- calls it and has the lock. A batch says one thing to an owner, and of all its kinds one goes to an owner within an hour.
-- Says how many there were, of how many changes, and the last position of them.
-- Each event goes from its group straight into its row: to keep them aside, data and all, costs as much as an index.
create or replace function steward.place_event_batch(organization uuid, batch bigint, out placed integer, out changes integer, out newest bigint)
language plpgsql volatile
-- The lists of a batch are arguments: as constants of a plan made for them they would cost more.
set plan_cache_mode = force_generic_plan
set enable_hashagg = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
declare
  b steward.event_batches;
  kinds text[];
  told_kinds text[];
  told_owners uuid[];
  told_until timestamptz[];
begin
  delete from steward.event_batches e where e.organization_id = organization and e.seq = batch returning e.* into b;
  changes := coalesce(cardinality(b.event_type_ids), 0);
  kinds := array['locations.' || b.change, 'event_type.needs_location'];
  -- Whom it was told within the hour, seldom anybody.
  with singly as materialized (
    select s.type, s.owner_id, s.until from steward.event_sums s where s.organization_id = organization and s.type = any(kinds) limit changes),
  told as (
    -- Singly: read as they are, or looked up by key where they are more than are asked for.
    select * from singly where (select count(*) from singly) < changes
    union all
    select k.type, o.owner_id, s.until
      from (select distinct coalesce(m, '00000000-0000-0000-0000-000000000000') as owner_id from unnest(b.owner_member_ids) m) o
     cross join unnest(kinds) as k (type)
     cross join lateral (select h.until from steward.event_sums h
                          where h.organization_id = organization and h.type = k.type and h.owner_id = o.owner_id limit 1) s
     where (select count(*) from singly) >= changes
    union all
    -- With others, much at once: those in the same range.
    select h.type, o.owner_id, h.until
      from (select min(m.bucket) as first, max(m.bucket) as last
              from (select steward.owner_bucket(o) as bucket from unnest(b.owner_member_ids) o offset 0) m) r
     cross join unnest(kinds) as k (type)
     cross join lateral (select * from steward.event_hours h
                          where h.organization_id = organization and h.type = k.type and h.bucket between r.first and r.last offset 0) h
     cross join lateral unnest(h.owners) as o (owner_id))
  select array_agg(t.type), array_agg(t.owner_id), array_agg(t.until) into told_kinds, told_owners, told_until
    from (select type, owner_id, max(until) as until from told group by 1, 2) t;
  with written as (
    insert into steward.events (organization_id, type, subject_id, data, created_at, position, held_until)
    select organization, e.type, e.owner_id, e.data, b.created_at, case when t.until is null then nextval('steward.event_positions') end, t.until
      from steward.location_events(b.change, b.run_id, b.cause, b.event_type_ids, b.owner_member_ids, b.locations,
                                   b.needs_location, b.run_ids, b.causes) e
      left join unnest(told_kinds, told_owners, told_until) as t (type, owner_id, until)
        on t.owner_id = coalesce(e.owner_id, '00000000-0000-0000-0000-000000000000') and t.type = e.type
    returning type = kinds[1] as first_kind, subject_id, position),
  begun as (
    insert into steward.event_hours (organization_id, type, bucket, until, owners)
    select organization, case when w.first_kind then kinds[1] else kinds[2] end, w.bucket, (select steward.now()) + interval '1 hour', array_agg(w.owner_id)
      from (select first_kind, steward.owner_bucket(subject_id) as bucket, coalesce(subject_id, '00000000-0000-0000-0000-000000000000') as owner_id
              from written where position is not null) w
     group by w.bucket, w.first_kind)
  select count(*), max(w.position) into placed, newest from written w;
end $$;
