-- What the stored results of an organization should be under assumed facts, and beside it whether each could host under those that
-- are: for plans, from one reading of the stored facts. Two of steward.desired_members_under would be hashed into each other.
create or replace function steward.desired_members_beside(
  organization uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean, shared_host text, shared_host_type smallint,
  now_state text, now_ever_disconnected boolean, now_allow_opt_out boolean, now_has_shared_host boolean)
returns table (member_id uuid, effective text, reason text, hosting text, zoom_user_id text, basic_plan boolean, via_shared_host boolean,
               now_hosting text)
language sql stable parallel safe as $$
  select h.member_id, steward.rule_effective(h.reason), h.reason, h.hosting,
         steward.rule_zoom_user(h.reason, h.hosting, h.match, h.zoom_user_key, shared_host),
         steward.rule_basic_plan(h.reason, h.hosting, h.match, h.zoom_type, shared_host_type), steward.rule_shared_host(h.reason, h.hosting, h.match),
         steward.rule_hosting(h.now_reason, now_state, h.match, h.zoom_status, h.zoom_type, now_has_shared_host)
    from (
      select r.*, steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, shared_host is not null) as hosting
        from (
          select f.member_id, f.match, f.zoom_user_key, f.zoom_status, f.zoom_type,
                 steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out) as reason,
                 steward.rule_reason(f.active, f.personal, now_state, now_ever_disconnected, f.in_rollout, f.opted_out and now_allow_opt_out) as now_reason
            from steward.member_facts f where f.organization_id = organization
          offset 0) r
      offset 0) h
$$;
