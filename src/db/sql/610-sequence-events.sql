-- Gives events their positions: what the main app reads by. One transaction at a time does it, so positions become visible
-- in their order and no reader passes one; what an organization's transaction saw was committed before it, so it has the
-- smaller position. Who comes at the same time finds nothing to do. Returns how many events got
-- one or were held back: as many as `most`, and there may be more.
create or replace function steward.sequence_events(most integer default 500) returns integer
language plpgsql volatile
-- The next few in their order, whatever statistics say: a bitmap would read and sort all that wait, each time.
set enable_seqscan = off
set enable_bitmapscan = off
-- Nor may they say how a round is compared with events: hashed, and those that it placed.
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
declare
  judged_count integer;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('steward.event_positions', 0)) then
    return 0;
  end if;
  perform steward.sum_held_events();
  with fresh as materialized (
    select e.row, e.seq, e.organization_id, k.type as kind, k.at_once, steward.event_owner(k.by_owner, e.subject_id) as owner_id
      from (select ctid as row, seq, organization_id, type, subject_id from steward.events
             where position is null and held_until is null order by seq limit most) e
      left join steward.summed_events() k using (type)),
  judged as materialized (
    select f.row, f.seq, f.organization_id, f.kind, f.owner_id, s.until,
           f.kind is null
           or coalesce(s.told, 0) + row_number() over (partition by f.organization_id, f.kind, f.owner_id order by f.seq) <= f.at_once as goes
      from fresh f
      -- By key for each: the hours of a mass change are as many as its owners.
      left join lateral (select told, until from steward.event_sums
                          where organization_id = f.organization_id and type = f.kind and owner_id = f.owner_id limit 1) s on true),
  placed as (
    update steward.events e set position = n.position, held_until = n.held_until
      from (select seq, case when goes then nextval('steward.event_positions') end as position,
                   case when not goes then coalesce(until, (select steward.now()) + interval '1 hour') end as held_until
              from (select seq, goes, until from judged order by seq offset 0) o) n
     -- By place: nobody else writes what waits, and what was held back for an hour lies far from what came last.
     where e.seq = n.seq and e.ctid = any(array(select row from judged))
    returning e.organization_id, e.position),
  -- Only whoever has the lock writes hours: those that begin need not ask whether they are there.
  hours as (
    insert into steward.event_sums (organization_id, type, owner_id, until, told)
    select organization_id, kind, owner_id, (select steward.now()) + interval '1 hour', count(*)
      from judged where goes and kind is not null and until is null group by 1, 2, 3),
  hours_on as (
    insert into steward.event_sums as s (organization_id, type, owner_id, until, told)
    select organization_id, kind, owner_id, min(until), count(*) from judged where goes and kind is not null and until is not null group by 1, 2, 3
    on conflict (organization_id, type, owner_id) do update set told = s.told + excluded.told),
  streams as (
    insert into steward.event_streams as s (organization_id, newest, due_at)
    -- In the order in which events_taken locks them, or each would wait for the other.
    select organization_id, max(position), (select steward.now()) from placed where position is not null group by 1 order by 1
    on conflict (organization_id) do update set newest = excluded.newest, due_at = coalesce(s.due_at, excluded.due_at))
  select count(*) into judged_count from judged;
  return judged_count;
end $$;
