-- Whether a pass over an organization could take any Zoom location: it is disconnecting or was disconnected, somebody's
-- stored result has a reason that takes Zoom, or somebody serves an event type and is no member any more. Exact for a run
-- whose results are written: who decides something later is looked at alone. For one that stands on stored facts or results
-- it is as exact as these: what nobody announced is taken by the next run that looks at facts. Of such a run it is therefore not
-- asked whether all who serve are members still, the dearer half, if the run before went to its end: that one had asked, or
-- stood on one that had. Two scans instead of a look at every event type that has Zoom, which is what a pass costs where nothing is
-- to be done. Holds for both adapters.
drop function if exists steward.zoom_may_go(uuid);
create or replace function steward.zoom_may_go(organization uuid, run uuid default null) returns boolean
language plpgsql stable
-- A table without statistics must not make a nested loop of the comparison with the members.
set enable_nestloop = off
-- Nor an index in the order of random ids, which is each row of a large table from another page: 7.8 s of 2.5 million
-- event types against 1 million members, hashed 2.2 s.
set enable_mergejoin = off
set work_mem = '64MB'
set jit = off
as $$
begin
  if (select f.disconnected from steward.location_facts(organization) f) then return true; end if;
  if exists (select from steward.member_connections c where c.organization_id = organization and steward.rule_takes_zoom(c.reason)) then
    return true;
  end if;
  if exists (
    select from steward.runs r
     cross join lateral (
       select l.state from steward.runs l
        where l.target_id = r.target_id and l.target = 'organization' and l.id <> r.id and l.created_at <= r.created_at
        order by l.created_at desc, l.ended_at desc limit 1) before
     where r.id = run and r.target_id = organization and not r.progress ? 'facts' and before.state = 'done') then
    return false;
  end if;
  -- Who serves and is no member, whoever's event type it is: as a rule nobody, and the members are hashed once for both.
  if not exists (
    select from (
      select e.host_member_id as member_id from steward_app.event_types e where e.organization_id = organization and e.host_member_id is not null
      union all
      select h.member_id from steward_app.event_type_hosts h where h.organization_id = organization) s
     where not exists (select from steward_app.members m where m.organization_id = organization and m.id = s.member_id)) then
    return false;
  end if;
  if exists (select from steward_app.event_types e
              where e.organization_id = organization and e.host_member_id is not null
                and not exists (select from steward_app.members m where m.organization_id = organization and m.id = e.host_member_id)) then
    return true;
  end if;
  return exists (select from steward_app.event_type_hosts h join steward_app.event_types e on e.id = h.event_type_id and e.organization_id = organization
                  where h.organization_id = organization and not exists (select from steward_app.members m where m.organization_id = organization and m.id = h.member_id));
end $$;
