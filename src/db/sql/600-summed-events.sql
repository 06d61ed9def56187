-- Kinds of events that a mass change brings many of (behaviour §11): so many of a kind go at once for an organization (or
-- for an owner: subject_id) within an hour; whatever follows is held back and goes as one, when the hour is over.
create or replace function steward.summed_events()
returns table (type text, by_owner boolean, at_once integer, summed_as text)
language sql immutable parallel safe as $$
  values ('locations.removed', true, 1, 'locations.removed'),
         ('locations.restored', true, 1, 'locations.restored'),
         ('locations.added', true, 1, 'locations.added'),
         ('event_type.needs_location', true, 1, 'event_type.needs_location'),
         ('members.connection_changed', false, 1, 'members.connection_changed'),
         ('bookings.detached', false, 1, 'bookings.detached'),
         ('bookings.attached', false, 1, 'bookings.attached'),
         ('member.connection_changed', false, 20, 'members.connection_changed')
$$;

-- Whose hour an event belongs to; zeros: the organization's.
create or replace function steward.event_owner(by_owner boolean, subject uuid) returns uuid
language sql immutable parallel safe as $$
  select case when by_owner then coalesce(subject, '00000000-0000-0000-0000-000000000000') else '00000000-0000-0000-0000-000000000000' end
$$;

-- Closes the hours that are over: what was held back in one goes as one event, with numbers added up, lists joined (at most
-- 100 entries), and else what was said last. One alone goes as it was written.
create or replace function steward.sum_held_events(most integer default 200) returns integer
language plpgsql volatile as $$
declare
  summed integer;
begin
  with closed as (
    -- By place: nobody else writes hours, and compared by key all hours that run would be read for a few that are over.
    delete from steward.event_sums s
     where s.ctid = any(array(select ctid from steward.event_sums where until <= (select steward.now()) order by until limit most))
    returning s.organization_id, s.type, s.owner_id),
  closed_together as (
    delete from steward.event_hours h
     -- As many rows, but not of too many owners: of a small mass change each has a row of their own, of a large one hundreds share it.
     where h.ctid = any(array(
       select r.ctid
         from (select o.ctid, sum(o.owners) over (order by o.until rows unbounded preceding) - o.owners as before
                 from (select ctid, until, cardinality(owners) as owners from steward.event_hours
                        where until <= (select steward.now()) order by until limit most) o) r
        where r.before < 25 * most))
    returning h.organization_id, h.type, h.owners),
  over as (
    select * from closed
    union all
    select t.organization_id, t.type, o.owner_id from closed_together t cross join lateral unnest(t.owners) as o (owner_id)),
  -- By key for each hour: of a mass change that was held back others wait as well, one for each owner.
  held as materialized (
    select e.*, c.owner_id, k.by_owner, k.summed_as, count(*) over (partition by c.organization_id, c.type, c.owner_id) as n
      from over c
      join steward.summed_events() k using (type)
     cross join lateral (
       select h.ctid as row, h.seq, h.organization_id, h.type, h.subject_id, h.data, h.created_at from steward.events h
        where k.by_owner and h.organization_id = c.organization_id and h.type = c.type
          and coalesce(h.subject_id, '00000000-0000-0000-0000-000000000000') = c.owner_id and h.position is null and h.held_until is not null
       union all
       select h.ctid, h.seq, h.organization_id, h.type, h.subject_id, h.data, h.created_at from steward.events h
        where not k.by_owner and h.organization_id = c.organization_id and h.type = c.type and h.position is null and h.held_until is not null) e),
  -- Nobody else writes what is held.
  alone as (update steward.events e set held_until = null where e.ctid = any(array(select h.row from held h where h.n = 1)) returning 1),
  gone as (delete from steward.events e where e.ctid = any(array(select h.row from held h where h.n > 1))),
  merged as (
    select f.organization_id, f.type, f.owner_id, jsonb_object_agg(f.key, f.value) as data
      from (select h.organization_id, h.type, h.owner_id, each.key,
                   case when bool_and(jsonb_typeof(each.value) = 'number')
                        then to_jsonb(sum(case when jsonb_typeof(each.value) = 'number' then (each.value #>> '{}')::numeric end))
                        when bool_and(jsonb_typeof(each.value) = 'array')
                        then (select coalesce(jsonb_agg(entry), '[]') from (
                                select distinct entry from unnest(array_agg(each.value)) list, jsonb_array_elements(list) entry limit 100) entries)
                        else (array_agg(each.value order by h.created_at desc, h.seq desc))[1] end as value
              from held h cross join lateral jsonb_each(h.data) each
             where h.n > 1
             group by h.organization_id, h.type, h.owner_id, each.key) f
     group by f.organization_id, f.type, f.owner_id),
  groups as (
    select h.organization_id, h.type, h.owner_id, h.summed_as, h.by_owner, count(*) as n, min(h.created_at) as since,
           (array_agg(h.subject_id order by h.seq desc))[1] as subject_id, (array_agg(h.subject_id order by h.seq))[1:100] as subjects
      from held h where h.n > 1 group by h.organization_id, h.type, h.owner_id, h.summed_as, h.by_owner)
  insert into steward.events (organization_id, type, subject_id, data, created_at)
  select g.organization_id, g.summed_as,
         case when g.by_owner or g.type = g.summed_as then g.subject_id end,
         -- Many changes of single members have no one state before and after: who they were is said instead.
         case when g.type = g.summed_as then coalesce(m.data, '{}')
              else jsonb_build_object('changed', g.n, 'memberIds', to_jsonb(g.subjects)) end
         || jsonb_build_object('summed', g.n, 'since', g.since),
         (select steward.now())
    from groups g left join merged m using (organization_id, type, owner_id);
  get diagnostics summed = row_count;
  return summed;
end $$;
