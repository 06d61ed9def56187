-- Who serves this event type, and whether they can host now: live, from keys, without any stored result. For the
-- main app's role as well. One row a server; none for an unknown event type or one without servers. Forced
-- settings as in steward.resolve_member: planning anew each time would cost more than running it.
create or replace function steward.event_type_hosting(event_type uuid)
returns table (event_type_id uuid, organization_id uuid, kind text, member_id uuid, effective text, reason text, hosting text,
               zoom_user_id text, basic_plan boolean, via_shared_host boolean)
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
  e record;
  f record;
  members uuid[];
begin
  select t.organization_id, t.kind into e from steward_app.event_types t where t.id = event_type;
  if not found then
    return;
  end if;
  select array_agg(distinct s.member_id) filter (where s.member_id is not null) into members
    from steward.event_type_servers(e.organization_id, array[event_type]) s;
  select * into f from steward.organization_facts(e.organization_id);
  return query
    select event_type, e.organization_id, e.kind, l.member_id, l.effective, l.reason, l.hosting, l.zoom_user_id, l.basic_plan, l.via_shared_host
      from steward.live_members_under(e.organization_id, members, f.org_state, f.ever_disconnected, f.zoom_account_id, f.allow_opt_out,
                                      f.rollout, f.rollout_groups, f.rollout_domains, f.shared_host, f.shared_host_type) l;
end $$;
