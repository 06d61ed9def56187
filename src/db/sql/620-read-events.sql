-- What the main app is told, by its cursor: events after a position, oldest first. Without one: those it has not taken yet.
create or replace function steward.read_events(after bigint default null, most integer default 100, organization uuid default null)
returns table ("position" bigint, organization_id uuid, type text, subject_id uuid, data jsonb, created_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  rows_most constant integer := least(greatest(most, 0), 1000);
begin
  if after is null then
    return query
      select e.position, e.organization_id, e.type, e.subject_id, e.data, e.created_at from steward.events e
       where e.position is not null and e.delivered_at is null and (organization is null or e.organization_id = organization)
       order by e.position limit rows_most;
  else
    return query
      select e.position, e.organization_id, e.type, e.subject_id, e.data, e.created_at from steward.events e
       where e.position > after and (organization is null or e.organization_id = organization)
       order by e.position limit rows_most;
  end if;
end $$;

-- How far it has taken those of one organization; a batch from the queue may be older than that.
create or replace function steward.read_events_taken(organization uuid) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce((select taken from steward.event_streams s where s.organization_id = organization), 0)
$$;

-- The main app says: everything up to this position was taken, of all organizations or of one. A deadline runs from here, so
-- it is said when the event is safe – best in the transaction that keeps it. Saying it twice, or late, changes nothing.
create or replace function steward.events_taken(until bigint, organization uuid default null) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  taken_count integer;
begin
  if until is null then
    raise exception 'steward.events_taken: expected the position of the last event that was taken, got null' using errcode = '22004';
  end if;
  -- The stream first, as whoever offers it does.
  perform 1 from steward.event_streams s
   where s.due_at is not null and (organization is null or s.organization_id = organization)
   order by s.organization_id for update;
  update steward.events e set delivered_at = (select steward.now())
   where e.position <= until and e.delivered_at is null and (organization is null or e.organization_id = organization);
  get diagnostics taken_count = row_count;
  -- Never beyond what there is: a position that was made up must not swallow what comes.
  update steward.event_streams s
     set taken = greatest(s.taken, least(until, s.newest)),
         offered = case when s.offered > until then s.offered end,
         due_at = case when s.newest <= until then null when s.offered > until then s.due_at else steward.now() end
   where s.due_at is not null and (organization is null or s.organization_id = organization);
  return taken_count;
end $$;
