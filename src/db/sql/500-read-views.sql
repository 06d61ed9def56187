-- What the main app may read in lists of its own: stored results and states, no table of ours (tokens are in those).
-- Who serves a member in this instant is not here: that is steward.resolve_member.
create or replace view steward.read_members as
  select organization_id, member_id, effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at
    from steward.member_connections;
comment on view steward.read_members is 'For the main app: the stored result of the rule for each member, for lists and counts.';

create or replace view steward.read_connections as
  select c.organization_id, c.id as connection_id, c.state, c.generation, c.zoom_account_id, c.zoom_account_name, c.at_risk_reason,
         c.interrupted_reason, c.interrupted_at, c.deadline_at, c.activated_at, c.verified_at, c.observe
    from steward.org_connections c;
comment on view steward.read_connections is 'For the main app: the state of each organization''s connection.';

create or replace view steward.read_event_types_without_location as
  select organization_id, event_type_id, needs_location_since from steward.event_type_flags;
comment on view steward.read_event_types_without_location is 'For the main app: event types that a removal left without any location.';
