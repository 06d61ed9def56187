drop function if exists steward.sequence_events(integer);

-- Gives events their positions: what the main app reads by. One transaction at a time does it, so positions become visible
-- in their order and no reader passes one; what an organization's transaction saw was committed before it, so it has the
-- smaller position. Who comes at the same time finds nothing to do. Returns how many events got
-- one or were held back, changes of batches counted beside them: as many as `most` or more, and there may be more.
-- Without batches: those that wait singly alone, for when the batch of an organization cannot be placed.
create or replace function steward.sequence_events(most integer default 500, with_batches boolean default true) returns integer
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
  judged_count integer := 0;
  passed integer;
  streams uuid[] := '{}';
  newest bigint[] := '{}';
  of_pass uuid[];
  newest_of_pass bigint[];
  batched uuid[];
  batches bigint[];
  chosen integer;
  placed record;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('steward.event_positions', 0)) then
    return 0;
  end if;
  perform steward.sum_held_events();
  loop
    -- Whose mass change waits in batches is passed over with what it wrote after the first of them: seen by the same
    -- snapshot, or the end of a run could come before what the run told.
    with batched as materialized (
      select array_agg(b.organization_id) as organizations, array_agg(b.since) as since
        from (select organization_id, min(seq) as since from steward.event_batches group by 1) b),
    fresh as materialized (
      select e.row, e.seq, e.organization_id, k.type as kind, k.at_once, steward.event_owner(k.by_owner, e.subject_id) as owner_id
        from (select w.ctid as row, w.seq, w.organization_id, w.type, w.subject_id from steward.events w
               where w.position is null and w.held_until is null
                 and ((select organizations from batched) is null
                      -- By key: sought in a list, each event would meet all organizations that have batches.
                      or w.seq < coalesce((select min(b.seq) from steward.event_batches b where b.organization_id = w.organization_id), w.seq + 1))
               order by w.seq limit most - judged_count) e
        left join steward.summed_events() k using (type)),
    judged as materialized (
      select f.row, f.seq, f.organization_id, f.kind, f.owner_id, s.until,
             f.kind is null
             or coalesce(s.told, 0) + row_number() over (partition by f.organization_id, f.kind, f.owner_id order by f.seq) <= f.at_once as goes
        from fresh f
        -- By key for each: the hours of a mass change are as many as its owners.
        left join lateral (
          (select told, until from steward.event_sums where organization_id = f.organization_id and type = f.kind and owner_id = f.owner_id limit 1)
          union all
          (select f.at_once, until from steward.event_hours
            where organization_id = f.organization_id and type = f.kind and bucket = steward.owner_bucket(f.owner_id) and f.owner_id = any(owners) limit 1)
          limit 1) s on true),
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
    last as (
      select organization_id, max(position) as position from placed where position is not null group by 1)
    select (select count(*) from judged), l.organizations, l.positions, b.organizations, b.since
      into passed, of_pass, newest_of_pass, batched, batches
      from (select array_agg(organization_id) as organizations, array_agg(position) as positions from last) l cross join batched b;
    judged_count := judged_count + passed;
    streams := streams || of_pass;
    newest := newest || newest_of_pass;
    -- Only now has everything its position that is older than the batch.
    exit when batched is null or judged_count >= most or not with_batches;
    -- Of one organization and of another: none waits until all of a larger one is told.
    chosen := 1 + floor(random() * cardinality(batched))::integer;
    placed := steward.place_event_batch(batched[chosen], batches[chosen]);
    -- Owners of very many event types have few events for what it takes to make them: a change is a fifth of an event.
    judged_count := judged_count + placed.placed + placed.changes / 5;
    if placed.newest is not null then
      streams := streams || batched[chosen];
      newest := newest || placed.newest;
    end if;
    exit when judged_count >= most;
  end loop;
  insert into steward.event_streams as s (organization_id, newest, due_at)
  -- In the order in which events_taken locks them, or each would wait for the other.
  select p.organization_id, max(p.position), (select steward.now())
    from unnest(streams, newest) as p (organization_id, position) group by 1 order by 1
  on conflict (organization_id) do update set newest = excluded.newest, due_at = coalesce(s.due_at, excluded.due_at);
  return judged_count;
end $$;
