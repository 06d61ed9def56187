-- Archived locations of these event types that may return now, as far as the archive itself says: of this
-- organization and adapter, not expired, not overtaken by a later removal, and accepted where a person has to.
-- With also_offered those that still wait for a person come along: a plan shows them.
-- Read by key, once, and judged afterwards: "not expired" is true of nearly all there are, and an index of it tempted
-- the planner to read the organization's every copy for each page.
create or replace function steward.returnable_archives(organization uuid, event_types uuid[], from_adapter text, accepted_generations bigint[],
                                                      also_offered boolean default false)
returns setof steward.archived_locations
language sql stable parallel safe as $$
  select a.id, a.organization_id, a.event_type_id, a.adapter, a.place, a.content, a.neighbours, a.cause, a.offered, a.generation, a.run_id,
         a.archived_at, a.expires_at, a.accepted_at, a.fallback
    from (
      select c.*, max(c.archived_at) over (partition by c.event_type_id) as newest
        from steward.archived_locations c
       where c.organization_id = organization and c.event_type_id = any(event_types)) a
   where a.adapter = from_adapter and a.archived_at = a.newest
     and a.expires_at > (select steward.now()) and a.neighbours <> 'superseded'
     and (also_offered or not a.offered or a.accepted_at is not null or a.generation = any(accepted_generations))
$$;

-- The rest of a page that begins with event types that have Zoom (ordered, at most page_size of them): those with
-- an archive that could return and those that are flagged, up to where the shortest of the three lists ends. That is
-- upto, null at the end of the organization. Archives are paged by key and judged afterwards: by key the index is
-- always right, while "could return" would tempt the planner to sort the whole organization for every page.
-- returning: those of the page, without Zoom, of which a cascade took it and whose copy could return.
drop function if exists steward.location_page(uuid, uuid, integer, uuid[], boolean);
create or replace function steward.location_page(organization uuid, after uuid, page_size integer, with_zoom uuid[], also_offered boolean,
                                                 out event_types uuid[], out upto uuid, out returning_types uuid[])
language plpgsql stable
-- Copies may be younger than their statistics: then each page would read and sort all that are left.
set enable_sort = off
set enable_bitmapscan = off
as $$
declare
  accepted bigint[] := coalesce((select c.restore_generations from steward.org_connections c where c.organization_id = organization), '{}');
  now timestamptz := steward.now();
  seen uuid[];
  returnable uuid[];
  flagged uuid[];
begin
  select array_agg(k.event_type_id), array_agg(k.event_type_id) filter (where k.returnable),
         array_agg(k.event_type_id) filter (where k.returnable and k.cause = 'organization_disconnected' and k.event_type_id <> all(with_zoom))
    into seen, returnable, returning_types
    from (select a.event_type_id, a.cause, a.expires_at > now and a.neighbours <> 'superseded'
                   and (also_offered or not a.offered or a.accepted_at is not null or a.generation = any(accepted)) as returnable
            from steward.archived_locations a
           where a.organization_id = organization and a.event_type_id > after
           order by a.event_type_id fetch first page_size rows with ties) k;
  flagged := array(select f.event_type_id from steward.event_type_flags f
                    where f.organization_id = organization and f.event_type_id > after order by f.event_type_id limit page_size);
  upto := least(case when cardinality(with_zoom) >= page_size then with_zoom[cardinality(with_zoom)] end,
                case when cardinality(seen) >= page_size then seen[cardinality(seen)] end,
                case when cardinality(flagged) >= page_size then flagged[cardinality(flagged)] end);
  returning_types := case when upto is null then coalesce(returning_types, '{}')
                          else array(select k from unnest(returning_types) k where k <= upto) end;
  if returnable is null and cardinality(flagged) = 0 then
    event_types := case when upto is null then with_zoom else array(select k from unnest(with_zoom) k where k <= upto order by k) end;
    return;
  end if;
  event_types := array(select distinct k from unnest(with_zoom || coalesce(returnable, '{}') || flagged) k
                        where upto is null or k <= upto order by k);
end $$;

-- What a removal overtakes: Zoom was there again, so what was archived before does not come back.
create or replace function steward.supersede_archives(organization uuid, event_types uuid[]) returns void
language sql volatile as $$
  update steward.archived_locations a set neighbours = 'superseded'
   where a.organization_id = organization and a.event_type_id = any(event_types) and a.neighbours <> 'superseded'
$$;
