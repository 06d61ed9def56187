-- Why each member of an organization is served or not, by the stored facts: the reason of steward.desired_members_under, for whoever
-- asks nothing else. Nothing in here keeps parallel workers out.
create or replace function steward.stored_reasons_under(organization uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean)
returns table (member_id uuid, reason text)
language sql stable parallel safe as $$
  select f.member_id, steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out)
    from steward.member_facts f where f.organization_id = organization
$$;
