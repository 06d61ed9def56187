-- Brings the stored facts of these members up to date; rows that are right are not touched. Ids that are no members of
-- the organization lose their row. The caller holds the locks (src/reconciliation/locks.ts).
-- One plan a session, by keys only: every lookup of live_facts_under is one, for one member as for thousands, and
-- making the plan anew would cost a run of one member more than the run.
create or replace function steward.write_member_facts(organization uuid, ids uuid[], account text, rollout text, groups uuid[], domains text[])
returns table (written bigint, deleted bigint)
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_memoize = off
set jit = off
as $$
#variable_conflict use_column
begin
  return query
  with live as materialized (select * from steward.live_facts_under(organization, ids, account, rollout, groups, domains) l),
  changed as materialized (
    select l.* from live l
      left join lateral (
        select * from steward.member_facts k where k.organization_id = organization and k.member_id = l.member_id limit 1) s on true
     where l.present and (s.member_id is null
        or (s.active, s.in_rollout, s.opted_out, s.personal, s.address_key, s.address_since, s.match, s.zoom_user_key, s.zoom_status, s.zoom_type)
           is distinct from
           (l.active, l.in_rollout, l.opted_out, l.personal, l.address_key, l.address_since, l.match, l.zoom_user_key, l.zoom_status, l.zoom_type))),
  gone as (
    delete from steward.member_facts s
     where s.organization_id = organization and s.member_id = any (array(select l.member_id from live l where not l.present))
    returning 1),
  upserted as (
    insert into steward.member_facts
           (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, address_since, match, zoom_user_key, zoom_status, zoom_type)
    select c.organization_id, c.member_id, c.active, c.in_rollout, c.opted_out, c.personal, c.address_key, c.address_since, c.match,
           c.zoom_user_key, c.zoom_status, c.zoom_type
      from changed c
    on conflict (organization_id, member_id) do update
       set (active, in_rollout, opted_out, personal, address_key, address_since, match, zoom_user_key, zoom_status, zoom_type)
         = (excluded.active, excluded.in_rollout, excluded.opted_out, excluded.personal, excluded.address_key, excluded.address_since,
            excluded.match, excluded.zoom_user_key, excluded.zoom_status, excluded.zoom_type)
    returning 1)
  select (select count(*) from upserted), (select count(*) from gone);
end $$;
