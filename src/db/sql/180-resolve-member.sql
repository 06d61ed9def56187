-- Who serves this member now, and whether they can host: live, from primary keys, without any stored result.
-- For the main app's role as well. One row, also for an id that is no member. Forced settings: the plan is made once
-- a session and holds whatever the tables grow to; custom plans of this statement would cost more than running it.
create or replace function steward.resolve_member(member uuid)
returns table (member_id uuid, organization_id uuid, effective text, reason text, hosting text, zoom_user_id text,
               connection_id uuid, personal_kind text, zoom_account_id text, generation bigint, org_state text,
               basic_plan boolean, via_shared_host boolean, personal_broken boolean, at_risk boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  home uuid;
  f record;
  m record;
  own record;
begin
  select b.organization_id into home from steward_app.members b where b.id = member;
  if home is null then
    return query select member, null::uuid, 'none', 'member_inactive', 'no_connection', null::text, null::uuid, null::text, null::text,
                        0::bigint, 'none', false, false, false, false;
    return;
  end if;
  select * into f from steward.organization_facts(home);
  select * into m
    from steward.live_members_under(home, array[member], f.org_state, f.ever_disconnected, f.zoom_account_id, f.allow_opt_out,
                                    f.rollout, f.rollout_groups, f.rollout_domains, f.shared_host, f.shared_host_type);
  if m.effective = 'personal' then
    -- Ours goes before one the main app keeps: meetings can be made through it here.
    select p.id as connection_id, 'managed' as kind, coalesce(p.zoom_user_id, g.zoom_user_id) as zoom_user_id,
           coalesce(p.zoom_account_id, g.zoom_account_id) as zoom_account_id into own
      from steward.personal_connections p
      left join steward.grants g on g.id = p.grant_id
     where p.organization_id = home and p.member_id = member and steward.rule_personal(p.state, g.state, null) = 'usable';
    if not found then
      select null::uuid as connection_id, 'external' as kind, x.zoom_user_id, x.zoom_account_id into own
        from steward_app.personal_connections x where x.member_id = member and x.organization_id = home;
    end if;
    return query select member, home, m.effective, m.reason, m.hosting, own.zoom_user_id, own.connection_id, own.kind, own.zoom_account_id,
                        f.generation, f.org_state, false, false, false, false;
    return;
  end if;
  return query
    select member, home, m.effective, m.reason, m.hosting, m.zoom_user_id,
           case when m.effective = 'organization' then f.connection_id end, null::text,
           case when m.effective = 'organization' then f.zoom_account_id end,
           f.generation, f.org_state, m.basic_plan, m.via_shared_host, m.personal = 'broken',
           m.effective = 'organization' and exists (
             select from steward.org_connections c where c.organization_id = home and c.at_risk_reason is not null);
end $$;
