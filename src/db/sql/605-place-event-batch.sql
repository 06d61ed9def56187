drop function if exists steward.place_event_batch(uuid, bigint);

-- Writes the events of one batch with their positions, or until when they are held back: as sequence_events does it, which
-- calls it and has the lock. A batch says one thing to an owner, and of all its kinds one goes to an owner within an hour.
-- Says how many there were, of how many changes, and the last position of them.
create or replace function steward.place_event_batch(organization uuid, batch bigint, out placed integer, out changes integer, out newest bigint)
language plpgsql volatile
set enable_hashagg = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
begin
  with taken as (
    delete from steward.event_batches b where b.organization_id = organization and b.seq = batch returning b.*),
  told as materialized (
    select e.type, e.owner_id, coalesce(e.owner_id, '00000000-0000-0000-0000-000000000000') as hour_of, steward.owner_bucket(e.owner_id) as bucket,
           e.data, t.created_at
      from taken t
     cross join lateral steward.location_events(t.change, t.run_id, t.cause, t.event_type_ids, t.owner_member_ids, t.locations,
                                                t.needs_location, t.run_ids, t.causes) e),
  -- Of others that were told much at once: those in the same range.
  hours as materialized (
    select h.type, o.owner_id, h.until
      from (select 'locations.' || change as type from taken union all select 'event_type.needs_location') k
     cross join (select min(bucket) as first, max(bucket) as last from told) r
     cross join lateral (select * from steward.event_hours h
                          where h.organization_id = organization and h.type = k.type and h.bucket between r.first and r.last offset 0) h
     cross join lateral unnest(h.owners) as o (owner_id)),
  judged as materialized (
    select t.*, coalesce(s.until, h.until) as until
      from told t
      left join hours h on h.owner_id = t.hour_of and h.type = t.type
      left join lateral (select s.until from steward.event_sums s
                          where s.organization_id = organization and s.type = t.type and s.owner_id = t.hour_of limit 1) s on true),
  written as (
    insert into steward.events (organization_id, type, subject_id, data, created_at, position, held_until)
    select organization, type, owner_id, data, created_at, case when until is null then nextval('steward.event_positions') end, until from judged
    returning position),
  begun as (
    insert into steward.event_hours (organization_id, type, bucket, until, owners)
    select organization, type, bucket, (select steward.now()) + interval '1 hour', array_agg(hour_of)
      from judged where until is null group by bucket, type)
  select count(*), (select coalesce(sum(cardinality(event_type_ids)), 0) from taken), max(w.position) into placed, changes, newest from written w;
end $$;
