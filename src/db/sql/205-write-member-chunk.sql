-- Brings the next `most` members (after one; null: from the first; up to another; null: to the last) up to date: their stored facts, and with
-- `results` also who serves them, in one pass; `last` is where the next chunk begins, null at the end. Rows that are right are not touched; rows of people who left go. The
-- caller holds the organization alone, so nobody else inserts: no row needs "on conflict". Rows come in the order of
-- their keys: indexes by member then grow at one end.
-- One plan a session: ranges are hashed, whatever statistics say of them (inside one bucket of a histogram, or without
-- statistics, a range is estimated as one row, and a nested loop of two ranges never ends); addresses are looked up.
drop function if exists steward.write_member_chunk(uuid, uuid, integer, text, text, uuid[], text[], boolean, uuid, text, boolean, boolean, text, smallint);
create or replace function steward.write_member_chunk(
  organization uuid, after uuid, most integer, account text, rollout text, groups uuid[], domains text[],
  results boolean, run uuid, org_state text, ever_disconnected boolean, allow_opt_out boolean, shared_host text, shared_host_type smallint,
  upto uuid default null)
returns table (last uuid, looked bigint, "factsWritten" bigint, "factsDeleted" bigint,
               written bigint, deleted bigint, gained bigint, lost bigint, "toPersonal" bigint, "toOrganization" bigint,
               "canHostGained" bigint, "canHostLost" bigint)
language plpgsql volatile
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_nestloop = off
set enable_mergejoin = off
set work_mem = '32MB'
set jit = off
as $$
#variable_conflict use_column
declare
  lower constant uuid := coalesce(after, '00000000-0000-0000-0000-000000000000');
  last_key constant uuid := coalesce(upto, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  -- Fewer members left than that: the last range has no end, so that rows of people who left are found.
  page_end constant uuid := (select a.id from steward_app.members a
                              where (a.organization_id, a.id) > (organization, lower) and (a.organization_id, a.id) <= (organization, last_key)
                              order by a.organization_id, a.id limit 1 offset most - 1);
  upper constant uuid := coalesce(page_end, last_key);
  at constant timestamptz := steward.now();
begin
  return query
  with live as materialized (
    select h.*, steward.rule_effective(h.reason) as effective,
           steward.rule_zoom_user(h.reason, h.hosting, h.match, h.zoom_user_key, shared_host) as zoom_user_id,
           steward.rule_basic_plan(h.reason, h.hosting, h.match, h.zoom_type, shared_host_type) as basic_plan,
           steward.rule_shared_host(h.reason, h.hosting, h.match) as via_shared_host
      from (
        select r.*, steward.rule_hosting(r.reason, org_state, r.match, r.zoom_status, r.zoom_type, shared_host is not null) as hosting
          from (
            select f.*, steward.rule_reason(f.active, f.personal, org_state, ever_disconnected, f.in_rollout, f.opted_out and allow_opt_out) as reason
              from steward.live_facts_between(organization, lower, upper, account, rollout, groups, domains) f
            offset 0) r
        offset 0) h
     order by h.member_id),
  facts_gone as (
    delete from steward.member_facts s
     where (s.organization_id, s.member_id) > (organization, lower) and (s.organization_id, s.member_id) <= (organization, upper)
       and not exists (select from live l where l.member_id = s.member_id)
    returning 1),
  facts_changed as (
    update steward.member_facts s
       set (active, in_rollout, opted_out, personal, address_key, address_since, match, zoom_user_key, zoom_status, zoom_type)
         = (l.active, l.in_rollout, l.opted_out, l.personal, l.address_key, l.address_since, l.match, l.zoom_user_key, l.zoom_status, l.zoom_type)
      from live l
     where l.stored and not l.same and s.member_id = l.member_id
       and (s.organization_id, s.member_id) > (organization, lower) and (s.organization_id, s.member_id) <= (organization, upper)
    returning 1),
  facts_new as (
    insert into steward.member_facts
           (organization_id, member_id, active, in_rollout, opted_out, personal, address_key, address_since, match, zoom_user_key, zoom_status, zoom_type)
    select organization, l.member_id, l.active, l.in_rollout, l.opted_out, l.personal, l.address_key, l.address_since, l.match,
           l.zoom_user_key, l.zoom_status, l.zoom_type
      from live l where not l.stored),
  diff as materialized (
    select coalesce(d.member_id, s.member_id) as member_id, d.member_id is null as gone,
           d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host,
           s.member_id is null as fresh, s.effective as was_effective, s.hosting as was_hosting
      from live d
      full join (
        select * from steward.member_connections c
         where (c.organization_id, c.member_id) > (organization, lower) and (c.organization_id, c.member_id) <= (organization, upper)) s
        on s.member_id = d.member_id
     where results
       and (d.member_id is null or s.member_id is null or (s.effective, s.reason, s.hosting, s.zoom_user_id, s.basic_plan, s.shared_host)
            is distinct from (d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host))),
  results_gone as (
    delete from steward.member_connections c
     where c.organization_id = organization and c.member_id = any (array(select x.member_id from diff x where x.gone))
    returning 1),
  results_changed as (
    update steward.member_connections c
       set (effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at, run_id)
         = (x.effective, x.reason, x.hosting, x.zoom_user_id, x.basic_plan, x.via_shared_host, at, run)
      from diff x
     where not x.gone and not x.fresh and c.member_id = x.member_id
       and (c.organization_id, c.member_id) > (organization, lower) and (c.organization_id, c.member_id) <= (organization, upper)
    returning 1),
  results_new as (
    insert into steward.member_connections
           (organization_id, member_id, effective, reason, hosting, zoom_user_id, basic_plan, shared_host, changed_at, run_id)
    select organization, x.member_id, x.effective, x.reason, x.hosting, x.zoom_user_id, x.basic_plan, x.via_shared_host, at, run
      from diff x where x.fresh)
  select page_end, l.looked, l.written, (select count(*) from facts_gone), d.*
    from (select count(*) as looked, count(*) filter (where not stored or not same) as written from live) l,
         (select count(*) filter (where not gone),
                 count(*) filter (where gone),
                 count(*) filter (where coalesce(was_effective, 'none') = 'none' and coalesce(effective, 'none') <> 'none'),
                 count(*) filter (where coalesce(was_effective, 'none') <> 'none' and coalesce(effective, 'none') = 'none'),
                 count(*) filter (where was_effective = 'organization' and effective = 'personal'),
                 count(*) filter (where was_effective = 'personal' and effective = 'organization'),
                 count(*) filter (where was_hosting is distinct from 'can_host' and hosting = 'can_host'),
                 count(*) filter (where was_hosting = 'can_host' and hosting is distinct from 'can_host')
            from diff) d;
end $$;
