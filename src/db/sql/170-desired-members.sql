-- What the stored results of an organization should be, from its stored facts, both bounds included (null: no bound).
-- The runs compare this with member_connections and write the difference; a person can read it as it stands.
create or replace function steward.desired_members_under(
  organization uuid, lower uuid, upper uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean,
  shared_host text, shared_host_type smallint)
returns table (member_id uuid, effective text, reason text, hosting text, zoom_user_id text, basic_plan boolean, via_shared_host boolean)
language sql stable parallel safe as $$
  select h.member_id, steward.rule_effective(h.reason), h.reason, h.hosting,
         steward.rule_zoom_user(h.reason, h.hosting, h.match, h.zoom_user_key, shared_host),
         steward.rule_basic_plan(h.reason, h.hosting, h.match, h.zoom_type, shared_host_type), steward.rule_shared_host(h.reason, h.hosting, h.match)
    from (
      select r.*, steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, shared_host is not null) as hosting
        from (
          select f.member_id, f.match, f.zoom_user_key, f.zoom_status, f.zoom_type,
                 steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out) as reason
            from steward.member_facts f
           where f.organization_id = organization
             and f.member_id >= coalesce(lower, '00000000-0000-0000-0000-000000000000'::uuid)
             and f.member_id <= coalesce(upper, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
          offset 0) r
      offset 0) h
$$;

-- The same for a whole organization, with its facts as they are.
create or replace function steward.desired_members(organization uuid)
returns table (member_id uuid, effective text, reason text, hosting text, zoom_user_id text, basic_plan boolean, via_shared_host boolean)
language sql stable parallel safe as $$
  select d.* from steward.organization_facts(organization) f
   cross join lateral steward.desired_members_under(organization, null, null, f.org_state, f.ever_disconnected, f.allow_opt_out, f.shared_host, f.shared_host_type) d
$$;
