-- What the rule about locations needs to know of an organization: the facts of the member rules, and its own.
-- assumed, where given, holds facts that stand in for the true ones, as the preview has them:
-- {"state", "allowOptOut", "rollout", "rolloutGroups", "rolloutDomains"}, each optional.
create or replace function steward.location_facts(organization uuid, assumed jsonb default null)
returns table (org_state text, ever_disconnected boolean, disconnected boolean, allow_opt_out boolean, zoom_account_id text,
               rollout text, rollout_groups uuid[], rollout_domains text[], shared_host text, shared_host_type smallint,
               generation bigint, restore_generations bigint[], disconnect_cause text, observe boolean,
               fallback jsonb, expires_after interval)
language sql stable parallel safe as $$
  select a.state, a.ever_disconnected, a.state = 'disconnecting' or a.state in ('none', 'pending') and a.ever_disconnected,
         coalesce((assumed ->> 'allowOptOut')::boolean, f.allow_opt_out), f.zoom_account_id, coalesce(assumed ->> 'rollout', f.rollout),
         case when assumed ? 'rolloutGroups' then array(select jsonb_array_elements_text(assumed -> 'rolloutGroups'))::uuid[] else f.rollout_groups end,
         case when assumed ? 'rolloutDomains' then array(select jsonb_array_elements_text(assumed -> 'rolloutDomains')) else f.rollout_domains end,
         f.shared_host, f.shared_host_type,
         f.generation, coalesce(c.restore_generations, '{}'), c.disconnect_cause,
         f.observe or exists (select from steward.switches s where s.name = 'observe_only'),
         steward.usable_fallback(o.fallback_location), coalesce(o.archive_days, 90) * interval '1 day'
    from steward.organization_facts(organization) f
   cross join lateral (select coalesce(assumed ->> 'state', f.org_state) as state,
                              f.ever_disconnected or coalesce(assumed ->> 'state' = 'disconnecting', false) as ever_disconnected) a
    left join steward.org_connections c on c.id = f.connection_id
    left join steward.organization_settings o on o.organization_id = f.organization_id
$$;

-- The decision for event types and their servers as given, one a row, side by side. With reasons and hostings of members, as
-- whoever looked at them knows them; without, the reasons are looked up: while nobody can host through the organization, whether
-- somebody can is no question of the directory, and the reason is all there is to ask, at a third of the price.
-- Planned for these lists, and hashed whatever there is: see steward.lock_event_types, and of tables without statistics the
-- planner would think too little.
create or replace function steward.decide_locations(
  organization uuid, asked uuid[], kinds text[], owners uuid[], serving uuid[], members uuid[], reasons text[], hostings text[], assumed jsonb)
returns table (event_type_id uuid, kind text, owner_id uuid, kept boolean, can_host integer, cause text)
language plpgsql stable
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  facts record;
  unknown uuid[] := case when reasons is null then array(select distinct m from unnest(serving) m where m is not null order by m) end;
begin
  select * into facts from steward.location_facts(organization, assumed);
  return query
  with ruled as materialized (
    select l.member_id, steward.rule_takes_zoom(l.reason) as takes, steward.rule_cause_rank(l.reason) as rank, l.hosting = 'can_host' as can_host
      from (
        select n.member_id, n.reason, steward.rule_hosting(n.reason, facts.org_state, null, null, null, false) as hosting
          from (select u.* from steward.live_reasons_under(organization, unknown, facts.org_state, facts.ever_disconnected, facts.allow_opt_out,
                       facts.rollout, facts.rollout_groups, facts.rollout_domains) u
                -- So that a reason is worked out once, and not wherever it is asked.
                offset 0) n
        union all
        select k.member_id, k.reason, k.hosting from unnest(members, reasons, hostings) as k (member_id, reason, hosting)) l),
  served as materialized (
    -- Nobody to ask: only the organization's disconnect takes it.
    select s.event_type_id, s.kind, s.owner_id, coalesce(bool_or(not r.takes), not facts.disconnected) as kept,
           (count(*) filter (where r.can_host))::integer as can_host, min(r.rank) as rank
      from unnest(asked, kinds, owners, serving) as s (event_type_id, kind, owner_id, member_id)
      left join ruled r on r.member_id = s.member_id
     group by s.event_type_id, s.kind, s.owner_id)
  select s.event_type_id, s.kind, s.owner_id, s.kept, s.can_host,
         case when not s.kept then coalesce(steward.rule_cause(s.rank), 'organization_disconnected') end
    from served s;
end $$;

-- For each of these event types of the organization: whether its Zoom locations stay, how many of its servers can
-- host now, and if they do not stay, why. From live facts, never from stored results.
create or replace function steward.location_decisions(organization uuid, event_types uuid[], assumed jsonb default null)
returns table (event_type_id uuid, kind text, owner_id uuid, kept boolean, can_host integer, cause text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  facts record;
  asked uuid[];
  kinds text[];
  owners uuid[];
  serving uuid[];
  members uuid[];
  reasons text[];
  hostings text[];
begin
  select * into facts from steward.location_facts(organization, assumed);
  select array_agg(s.event_type_id), array_agg(s.kind), array_agg(s.owner_id), array_agg(s.member_id),
         array_agg(distinct s.member_id) filter (where s.member_id is not null)
    into asked, kinds, owners, serving, members
    from steward.event_type_servers(organization, event_types) s;
  if facts.org_state = 'active' then
    select array_agg(l.member_id), coalesce(array_agg(l.reason), '{}'), array_agg(l.hosting) into members, reasons, hostings
      from steward.live_members_under(organization, members, facts.org_state, facts.ever_disconnected, facts.zoom_account_id, facts.allow_opt_out,
             facts.rollout, facts.rollout_groups, facts.rollout_domains, facts.shared_host, facts.shared_host_type) l;
  else
    members := null;
  end if;
  return query select d.* from steward.decide_locations(organization, asked, kinds, owners, serving, members, reasons, hostings, assumed) d;
end $$;

-- Whose Zoom a cascade takes, of event types that are locked and as they were read with the lock: who serves is looked for
-- anew, what the event type itself says is not. steward.decide_locations while nobody can host through the organization, in one
-- statement: who serves goes from one part of it to the next, and not through lists.
create or replace function steward.cascade_takes(organization uuid, event_types uuid[], kinds text[], owners uuid[],
                                                out going uuid[], out causes text[], out going_owners uuid[])
language plpgsql stable
-- As in steward.decide_locations.
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  facts record;
begin
  select * into facts from steward.location_facts(organization);
  with served as materialized (
    select e.event_type_id, e.owner_id, s.member_id
      from unnest(event_types, kinds, owners) as e (event_type_id, kind, owner_id)
      left join lateral steward.servers_of(e.event_type_id, e.kind, e.owner_id) s on true),
  ruled as materialized (
    select n.member_id, steward.rule_takes_zoom(n.reason) as takes, steward.rule_cause_rank(n.reason) as rank
      from (select array_agg(distinct s.member_id) as ids from served s where s.member_id is not null) k
     cross join lateral (
       select u.* from steward.live_reasons_under(organization, k.ids, facts.org_state, facts.ever_disconnected, facts.allow_opt_out,
              facts.rollout, facts.rollout_groups, facts.rollout_domains) u
       offset 0) n)
  select coalesce(array_agg(d.event_type_id), '{}'), array_agg(coalesce(steward.rule_cause(d.rank), 'organization_disconnected')), array_agg(d.owner_id)
    into going, causes, going_owners
    from (select s.event_type_id, s.owner_id, coalesce(bool_or(not r.takes), not facts.disconnected) as kept, min(r.rank) as rank
            from served s left join ruled r on r.member_id = s.member_id
           group by s.event_type_id, s.owner_id) d
   where not d.kept;
end $$;
