-- Who serves these members and whether they can host, from live facts: what resolve, plans and previews ask.
-- Arguments are the organization's facts as they are, or as somebody assumes them.
create or replace function steward.live_members_under(
  organization uuid, ids uuid[], org_state text, ever_disconnected boolean, account text, allow_opt_out boolean,
  rollout text, groups uuid[], domains text[], shared_host text, shared_host_type smallint)
returns table (member_id uuid, present boolean, active boolean, in_rollout boolean, opted_out boolean, personal text, address_key text, match text,
               zoom_user_key text, zoom_status text, zoom_type smallint,
               effective text, reason text, hosting text, zoom_user_id text, basic_plan boolean, via_shared_host boolean)
language sql stable parallel safe as $$
  select h.member_id, h.present, h.active, h.in_rollout, h.opted_out, h.personal, h.address_key, h.match, h.zoom_user_key, h.zoom_status, h.zoom_type,
         steward.rule_effective(h.reason), h.reason, h.hosting, steward.rule_zoom_user(h.reason, h.hosting, h.match, h.zoom_user_key, shared_host),
         steward.rule_basic_plan(h.reason, h.hosting, h.match, h.zoom_type, shared_host_type), steward.rule_shared_host(h.reason, h.hosting, h.match)
    from (
      select r.*, steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, shared_host is not null) as hosting
        from (
          select l.*, steward.rule_reason(l.active, l.personal, org_state, ever_disconnected, l.in_rollout, l.opted_out and allow_opt_out) as reason
            from steward.live_facts_under(organization, ids, account, rollout, groups, domains) l
          offset 0) r
      offset 0) h
$$;

-- The same, with the organization's facts as they are: the sentence for people who look into the database.
create or replace function steward.live_members(organization uuid, ids uuid[])
returns table (member_id uuid, present boolean, active boolean, in_rollout boolean, opted_out boolean, personal text, address_key text, match text,
               zoom_user_key text, zoom_status text, zoom_type smallint,
               effective text, reason text, hosting text, zoom_user_id text, basic_plan boolean, via_shared_host boolean)
language sql stable parallel safe as $$
  select l.* from steward.organization_facts(organization) f
   cross join lateral steward.live_members_under(organization, ids, f.org_state, f.ever_disconnected, f.zoom_account_id, f.allow_opt_out,
                                                 f.rollout, f.rollout_groups, f.rollout_domains, f.shared_host, f.shared_host_type) l
$$;
