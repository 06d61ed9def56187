-- Why these members are served or not, and no more: the reason of steward.live_members_under, for whoever does not ask
-- whether they can host. Leaves the addresses, the directory and what is stored out, which is most of the work; a test
-- compares the two in every world.
create or replace function steward.live_reasons_under(
  organization uuid, ids uuid[], org_state text, ever_disconnected boolean, allow_opt_out boolean, rollout text, groups uuid[], domains text[])
returns table (member_id uuid, reason text)
language sql stable parallel safe as $$
  select m.id, steward.rule_reason(m.active, m.personal, org_state, ever_disconnected, m.in_rollout, m.opted_out and allow_opt_out)
    from (
      select w.id, coalesce(b.active, false) as active, steward.rule_personal(p.state, p.grant_state, x.state) as personal,
             coalesce((select true from steward.opt_outs o where o.organization_id = organization and o.member_id = w.id limit 1), false) as opted_out,
             case rollout
               when 'groups' then exists (
                 select from steward_app.group_members gm
                  where gm.member_id = w.id and gm.organization_id = organization and gm.group_id = any(groups)
                 limit 1)
               when 'domains' then coalesce(split_part(steward.address_key(b.email), '@', -1) = any(domains), false)
               else true
             end as in_rollout
        from unnest(ids) as w (id)
        -- "limit 1" of what a key makes one row: each is a lookup by that key, whatever the planner thinks of the rest.
        left join lateral (
          select a.active, a.email from steward_app.members a where a.id = w.id and a.organization_id = organization limit 1) b on true
        left join lateral (
          select c.state, (select g.state from steward.grants g where g.id = c.grant_id) as grant_state
            from steward.personal_connections c where c.organization_id = organization and c.member_id = w.id
           limit 1) p on true
        left join lateral (
          select c.state from steward_app.personal_connections c where c.member_id = w.id and c.organization_id = organization
           limit 1) x on true
      offset 0) m
$$;
