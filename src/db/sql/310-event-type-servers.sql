-- Who serves the Zoom locations of an event type (behaviour §6.3): solo and group the owner, managed its
-- assignee, collective its organizer, a template its owner or, without one, its assignees, round robin its
-- active hosts.
create or replace function steward.servers_of(event_type uuid, kind text, owner uuid)
returns table (member_id uuid)
language sql stable parallel safe as $$
  select owner where owner is not null and kind in ('solo', 'group', 'managed', 'collective', 'template')
  union all
  select h.member_id from steward_app.event_type_hosts h
   where h.event_type_id = event_type and h.active
     and (kind = 'round_robin' or kind = 'template' and owner is null)
$$;

-- The same of these event types of the organization: one row a server; an event type that nobody serves has one row without member.
create or replace function steward.event_type_servers(organization uuid, event_types uuid[])
returns table (event_type_id uuid, kind text, owner_id uuid, member_id uuid)
language sql stable parallel safe as $$
  select e.id, e.kind, e.host_member_id, s.member_id
    from steward_app.event_types e
    left join lateral steward.servers_of(e.id, e.kind, e.host_member_id) s on true
   where e.organization_id = organization and e.id = any(event_types)
$$;
