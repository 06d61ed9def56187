-- Why these members are served or not, and no more: the reason of steward.live_members_under, for whoever does not ask
-- whether they can host. Leaves the addresses, the directory and what is stored out, which is most of the work; a test
-- compares the two in every world.
-- Each source is read once, by key, and hashed into the others. Call it where nested loops are off: without statistics
-- each of these lists looks so short that the planner would compare all with all.
create or replace function steward.live_reasons_under(
  organization uuid, ids uuid[], org_state text, ever_disconnected boolean, allow_opt_out boolean, rollout text, groups uuid[], domains text[])
returns table (member_id uuid, reason text)
language sql stable parallel safe as $$
  select m.id, steward.rule_reason(m.active, m.personal, org_state, ever_disconnected, m.in_rollout, m.opted_out and allow_opt_out)
    from (
      select w.id, coalesce(b.active, false) as active, steward.rule_personal(p.state, p.grant_state, x.state) as personal,
             o.member_id is not null as opted_out,
             case rollout
               when 'groups' then g.member_id is not null
               when 'domains' then coalesce(split_part(steward.address_key(b.email), '@', -1) = any(domains), false)
               else true
             end as in_rollout
        from unnest(ids) as w (id)
        left join (
          select a.id, a.active, a.email from steward_app.members a where a.id = any((select ids)::uuid[]) and (a.organization_id = organization) is true) b on b.id = w.id
        left join (
          select c.member_id, c.state, (select g.state from steward.grants g where g.id = c.grant_id) as grant_state
            from steward.personal_connections c where c.member_id = any((select ids)::uuid[]) and (c.organization_id = organization) is true) p on p.member_id = w.id
        left join (
          select c.member_id, c.state from steward_app.personal_connections c
           where c.member_id = any((select ids)::uuid[]) and (c.organization_id = organization) is true) x on x.member_id = w.id
        left join (
          select t.member_id from steward.opt_outs t where t.member_id = any(ids) and t.organization_id = organization) o on o.member_id = w.id
        left join (
          select distinct gm.member_id from steward_app.group_members gm
           where rollout = 'groups' and gm.member_id = any((select ids)::uuid[]) and (gm.organization_id = organization) is true and gm.group_id = any(groups)) g on g.member_id = w.id
      offset 0) m
$$;
