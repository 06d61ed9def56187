-- Brings the stored results of a range of members (after one, up to another; null: no bound) up to their stored facts;
-- rows that are right are not touched, results of people without facts go. The caller holds the organization, so that
-- nobody else inserts: rows are changed or inserted as the comparison says, at a fifth less than "on conflict".
-- Hash joins only: inside one bucket of a histogram, or without statistics, a range is estimated as one row, and a
-- nested loop of two ranges never ends (measured: 100,000 members, ten minutes and counting).
create or replace function steward.write_member_range(
  organization uuid, after uuid, up_to uuid, run uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean,
  shared_host text, shared_host_type smallint)
returns table (written bigint, deleted bigint, gained bigint, lost bigint, "toPersonal" bigint, "toOrganization" bigint,
               "canHostGained" bigint, "canHostLost" bigint)
language plpgsql volatile
set enable_nestloop = off
set jit = off
as $$
#variable_conflict use_column
declare
  lower constant uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
  upper constant uuid := coalesce(up_to, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  at constant timestamptz := steward.now();
begin
  return query
  with diff as materialized (
    select coalesce(d.member_id, s.member_id) as member_id, d.member_id is null as gone,
           d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host,
           s.member_id is null as fresh, s.effective as was_effective, s.reason as was_reason, s.hosting as was_hosting
      from (select * from steward.desired_members_under(organization, lower, upper, org_state, ever_disconnected, allow_opt_out,
                                                        shared_host, shared_host_type) x where x.member_id > lower) d
      full join (select * from steward.member_connections c
                  where c.organization_id = organization and c.member_id > lower and c.member_id <= upper) s on s.member_id = d.member_id
     where d.member_id is null or s.member_id is null or (s.effective, s.reason, s.hosting, s.zoom_user_id, s.basic_plan, s.shared_host)
           is distinct from (d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host)),
  removed as (
    delete from steward.member_connections c
     where c.organization_id = organization and c.member_id > lower and c.member_id <= upper and c.member_id = any (array(select x.member_id from diff x where x.gone))
    returning 1),
  changed as (
    update steward.member_connections c
       set (effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at, run_id)
         = (x.effective, x.reason, x.hosting, x.zoom_user_id, x.basic_plan, x.via_shared_host, at, run)
      from diff x
     where not x.gone and not x.fresh and c.member_id = x.member_id
       and (c.organization_id, c.member_id) > (organization, lower) and (c.organization_id, c.member_id) <= (organization, upper)
    returning 1),
  fresh as (
    insert into steward.member_connections
           (organization_id, member_id, effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at, run_id)
    select organization, x.member_id, x.effective, x.reason, x.hosting, x.zoom_user_id, x.basic_plan, x.via_shared_host, at, run
      from diff x where x.fresh
    returning 1)
  select count(*) filter (where not gone),
         count(*) filter (where gone),
         count(*) filter (where coalesce(was_effective, 'none') = 'none' and coalesce(effective, 'none') <> 'none'),
         count(*) filter (where coalesce(was_effective, 'none') <> 'none' and coalesce(effective, 'none') = 'none'),
         count(*) filter (where was_effective = 'organization' and effective = 'personal'),
         count(*) filter (where was_effective = 'personal' and effective = 'organization'),
         count(*) filter (where was_hosting is distinct from 'can_host' and hosting = 'can_host'),
         count(*) filter (where was_hosting = 'can_host' and hosting is distinct from 'can_host')
    from diff;
end $$;
