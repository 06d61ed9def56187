-- The same for a few named members, and what changed, member by member. The caller holds the locks and has written
-- their facts. One plan a session, by keys only.
create or replace function steward.write_members_of(
  organization uuid, ids uuid[], run uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean,
  shared_host text, shared_host_type smallint)
returns table (written bigint, deleted bigint, gained bigint, lost bigint, "toPersonal" bigint, "toOrganization" bigint,
               "canHostGained" bigint, "canHostLost" bigint, changes jsonb)
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
begin
  return query
  with diff as materialized (
    select w.id as member_id, d.member_id is null as gone,
           d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host,
           s.member_id is null as fresh, s.effective as was_effective, s.reason as was_reason, s.hosting as was_hosting
      from unnest(ids) as w (id)
      left join lateral steward.desired_members_under(organization, w.id, w.id, org_state, ever_disconnected, allow_opt_out,
                                                      shared_host, shared_host_type) d on true
      left join lateral (
        select * from steward.member_connections c where c.organization_id = organization and c.member_id = w.id limit 1) s on true
     where (d.member_id is not null or s.member_id is not null)
       and (d.member_id is null or s.member_id is null or (s.effective, s.reason, s.hosting, s.zoom_user_id, s.basic_plan, s.shared_host)
           is distinct from (d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host))),
  removed as (
    delete from steward.member_connections c
     where c.organization_id = organization and c.member_id = any (array(select x.member_id from diff x where x.gone))
    returning 1),
  upserted as (
    insert into steward.member_connections
           (organization_id, member_id, effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at, run_id)
    select organization, x.member_id, x.effective, x.reason, x.hosting, x.zoom_user_id, x.basic_plan, x.via_shared_host, (select steward.now()), run
      from diff x where not x.gone
    on conflict (organization_id, member_id) do update
       set (effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at, run_id)
         = (excluded.effective, excluded.reason, excluded.hosting, excluded.zoom_user_id, excluded.basic_plan, excluded.shared_host,
            excluded.changed_at, excluded.run_id)
    returning 1)
  select count(*) filter (where not gone),
         count(*) filter (where gone),
         count(*) filter (where coalesce(was_effective, 'none') = 'none' and coalesce(effective, 'none') <> 'none'),
         count(*) filter (where coalesce(was_effective, 'none') <> 'none' and coalesce(effective, 'none') = 'none'),
         count(*) filter (where was_effective = 'organization' and effective = 'personal'),
         count(*) filter (where was_effective = 'personal' and effective = 'organization'),
         count(*) filter (where was_hosting is distinct from 'can_host' and hosting = 'can_host'),
         count(*) filter (where was_hosting = 'can_host' and hosting is distinct from 'can_host'),
         coalesce(jsonb_agg(jsonb_build_object('memberId', member_id,
           'before', case when not fresh then jsonb_build_object('effective', was_effective, 'reason', was_reason, 'hosting', was_hosting) end,
           'after', case when not gone then jsonb_build_object('effective', effective, 'reason', reason, 'hosting', hosting) end)
           order by member_id), '[]')
    from diff;
end $$;
