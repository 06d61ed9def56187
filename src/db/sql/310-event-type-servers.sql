-- Who serves the Zoom locations of these event types (behaviour §6.3): solo and group the owner, managed its
-- assignee, collective its organizer, a template its owner or, without one, its assignees, round robin its
-- active hosts. One row a server; an event type that nobody serves has one row without member.
create or replace function steward.event_type_servers(organization uuid, event_types uuid[])
returns table (event_type_id uuid, kind text, owner_id uuid, member_id uuid)
language sql stable parallel safe as $$
  select e.id, e.kind, e.host_member_id, s.member_id
    from steward_app.event_types e
    left join lateral (
      select e.host_member_id
       where e.host_member_id is not null and e.kind in ('solo', 'group', 'managed', 'collective', 'template')
      union all
      select h.member_id from steward_app.event_type_hosts h
       where h.event_type_id = e.id and h.active
         and (e.kind = 'round_robin' or e.kind = 'template' and e.host_member_id is null)) as s (member_id) on true
   where e.organization_id = organization and e.id = any(event_types)
$$;
