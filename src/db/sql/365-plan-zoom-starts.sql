-- What is to be done about the start with Zoom, by category of zoom_start_work and kind: of new event types, or of existing
-- ones, as a one-time run would find them. One row a page, category and kind, with a few examples; reads only.
create or replace function steward.plan_zoom_starts(organization uuid, from_adapter text, existing boolean, assumed jsonb default null,
                                                    page_size integer default 10000)
returns table (category text, kind text, event_types bigint, examples uuid[])
language plpgsql stable
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
#variable_conflict use_column
declare
  since timestamptz := coalesce(steward.new_event_types_since(organization), case when existing then 'infinity'::timestamptz end);
  start_after uuid := '00000000-0000-0000-0000-000000000000';
  looked integer;
  asked uuid[];
begin
  while since is not null and start_after is not null loop
    select count(*), (array_agg(p.id order by p.id desc))[1], array_agg(p.id) filter (where p.created_at > since is distinct from existing)
      into looked, start_after, asked
      from (select e.id, e.created_at from steward_app.event_types e
             where e.organization_id = organization and e.id > start_after order by e.id limit page_size) p;
    return query
    select w.todo, w.kind, count(*), (array_agg(w.event_type_id order by w.event_type_id))[1:5]
      from steward.zoom_start_work(organization, from_adapter, asked, existing, assumed) w group by w.todo, w.kind;
    exit when looked < page_size;
  end loop;
end $$;

-- What an open order to undo a one-time run takes out, by kind: of what stays otherwise. Reads only.
create or replace function steward.plan_undo(organization uuid, from_adapter text, page_size integer default 10000)
returns table (kind text, event_types bigint, examples uuid[])
language plpgsql stable
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
#variable_conflict use_column
declare
  undoes uuid := (select o.undoes from steward.one_time_runs o where o.organization_id = organization and o.state = 'open');
  start_after uuid := '00000000-0000-0000-0000-000000000000';
  page uuid[];
begin
  while undoes is not null loop
    page := array(select s.event_type_id from steward.zoom_starts s
                   where s.one_time_run_id = undoes and s.state = 'added' and s.event_type_id > start_after
                   order by s.event_type_id limit page_size);
    return query
    select d.kind, count(*), (array_agg(d.event_type_id order by d.event_type_id))[1:5]
      from steward.undo_zoom_work(organization, from_adapter, page, undoes) w
      join steward.location_decisions(organization, page) d on d.event_type_id = w.event_type_id and d.kept
     where w.todo = 'remove' group by d.kind;
    exit when cardinality(page) < page_size;
    start_after := page[page_size];
  end loop;
end $$;
