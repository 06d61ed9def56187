-- What the main app is told, by its cursor: events after a position, oldest first. Without one: those it has not taken yet.
create or replace function steward.read_events(after bigint default null, most integer default 100, organization uuid default null)
returns table ("position" bigint, organization_id uuid, type text, subject_id uuid, data jsonb, created_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  rows_most constant integer := least(greatest(most, 0), 1000);
begin
  -- Pairs, as they can only use the index that begins with the organization: by position alone the events of all others are met.
  if organization is not null then
    return query
      select e.position, e.organization_id, e.type, e.subject_id, e.data, e.created_at from steward.events e
       where (e.organization_id, e.position) > (organization, coalesce(after, (select steward.read_events_taken(organization))))
         and (e.organization_id, e.position) <= (organization, 9223372036854775807)
         and e.position is not null and (after is not null or e.delivered_at is null)
       order by e.organization_id, e.position limit rows_most;
  elsif after is null then
    return query
      select e.position, e.organization_id, e.type, e.subject_id, e.data, e.created_at from steward.events e
       where e.position is not null and e.delivered_at is null
       order by e.position limit rows_most;
  else
    return query
      select e.position, e.organization_id, e.type, e.subject_id, e.data, e.created_at from steward.events e
       where e.position > after
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
  due uuid[];
begin
  if until is null then
    raise exception 'steward.events_taken: expected the position of the last event that was taken, got null' using errcode = '22004';
  end if;
  -- The streams first, as whoever offers them does. Only of these is said below that they were taken so far: whose stream
  -- was not locked may get a position meanwhile that is not marked here.
  due := array(select s.organization_id from steward.event_streams s
                where s.due_at is not null and (organization is null or s.organization_id = organization)
                order by s.organization_id for update);
  if organization is null then
    update steward.events e set delivered_at = (select steward.now()) where e.position <= until and e.delivered_at is null;
  else
    update steward.events e set delivered_at = (select steward.now())
     where (e.organization_id, e.position) > (organization, (select steward.read_events_taken(organization)))
       and (e.organization_id, e.position) <= (organization, until) and e.position is not null and e.delivered_at is null;
  end if;
  get diagnostics taken_count = row_count;
  -- Never beyond what there is: a position that was made up must not swallow what comes.
  update steward.event_streams s
     set taken = greatest(s.taken, least(until, s.newest)),
         offered = case when s.offered > until then s.offered end,
         due_at = case when s.newest <= until then null when s.offered > until then s.due_at else steward.now() end
   where s.organization_id = any(due);
  return taken_count;
end $$;
