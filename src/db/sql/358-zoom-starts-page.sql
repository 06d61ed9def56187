-- One chunk of an organization: the next page of all its event types after a key, for the new ones and for an open order of a
-- one-time run, or of the undo of one. last_event_type_id is null at the end, and at once where there is neither. Whoever
-- reaches the end closes the order; one that can no longer be carried out is dropped, and one that meets an interruption waits.
drop function if exists steward.add_zoom_page(uuid, uuid, text, uuid, integer, uuid);
create or replace function steward.zoom_starts_page(organization uuid, run uuid, from_adapter text, after uuid, page_size integer)
returns table (last_event_type_id uuid, event_types integer, added integer, undone integer)
language plpgsql volatile
set plan_cache_mode = 'force_custom_plan'
set jit = off
as $$
declare
  since timestamptz := steward.new_event_types_since(organization);
  facts record;
  ordered record;
  adding uuid;
  looked integer := 0;
  page uuid[];
  new_ones uuid[];
begin
  added := 0; undone := 0; event_types := 0;
  select * into ordered from steward.one_time_runs o where o.organization_id = organization and o.state = 'open' for update;
  if since is null and ordered.id is null then return next; return; end if;
  select * into facts from steward.location_facts(organization);
  if facts.observe then return next; return; end if;
  if ordered.id is not null and ordered.undoes is null then
    if since is null or facts.org_state not in ('active', 'interrupted') then
      update steward.one_time_runs o set state = 'dropped', ended_at = steward.now(),
             event_types = (select count(*) from steward.zoom_starts s where s.one_time_run_id = o.id and s.state = 'added')
       where o.id = ordered.id;
    elsif facts.org_state = 'active' then
      adding := ordered.id;
    end if;
  end if;

  select count(*), (array_agg(p.id order by p.id desc))[1], array_agg(p.id), array_agg(p.id) filter (where p.created_at > since)
    into looked, last_event_type_id, page, new_ones
    from (select e.id, e.created_at from steward_app.event_types e
           where e.organization_id = organization and e.id > coalesce(after, '00000000-0000-0000-0000-000000000000')
           order by e.id limit page_size) p;
  if looked < page_size then last_event_type_id := null; end if;
  event_types := looked;
  if ordered.undoes is not null then
    undone := steward.undo_zoom(organization, run, from_adapter, page, ordered.undoes);
    update steward.one_time_runs o set event_types = o.event_types + undone where o.id = ordered.id;
  end if;
  added := steward.add_zoom(organization, run, from_adapter, case when adding is null then new_ones else page end, adding);

  if last_event_type_id is null and (adding is not null or ordered.undoes is not null) then
    update steward.one_time_runs o
       set state = 'done', ended_at = steward.now(),
           event_types = case when o.undoes is null then (select count(*) from steward.zoom_starts s where s.one_time_run_id = o.id and s.state = 'added')
                              else o.event_types end,
           kept = case when o.undoes is not null then (select count(*) from steward.zoom_starts s where s.one_time_run_id = o.undoes and s.state = 'added') end
     where o.id = ordered.id;
  end if;
  return next;
end $$;
