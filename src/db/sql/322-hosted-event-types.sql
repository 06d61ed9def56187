-- Those of these event types, locked and as they were read with the lock, that somebody can host now, with their owner: what a run of the organization asks before it
-- brings back what a cascade took. Asked under the organization's lock, by a run whose facts are written or proved to stand.
--
-- What a person decides – left, deactivated, a personal Zoom, an opt-out, the rollout – is live: steward.live_reasons_under.
-- Which Zoom user somebody is, and whether that user can host, is taken as stored: it comes of the directory and of mappings,
-- which are the worker's own, and whoever changes them looks at the members concerned under the organization's lock. Who is
-- not stored yet is looked at live. Why that can do no harm: docs/reconciliation.md, "What is trusted when".
drop function if exists steward.hosted_event_types(uuid, uuid[]);
create or replace function steward.hosted_event_types(organization uuid, event_types uuid[], kinds text[], owners uuid[])
returns table (event_type_id uuid, owner_id uuid)
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
  asked uuid[];
  asked_owners uuid[];
  serving uuid[];
  members uuid[];
  hosting uuid[];
  unknown uuid[];
begin
  select * into facts from steward.location_facts(organization);
  select array_agg(e.event_type_id), array_agg(e.owner_id), array_agg(s.member_id), array_agg(distinct s.member_id)
    into asked, asked_owners, serving, members
    from unnest(event_types, kinds, owners) as e (event_type_id, kind, owner_id)
   cross join lateral steward.servers_of(e.event_type_id, e.kind, e.owner_id) s;
  select array_agg(k.member_id) filter (where k.stored and k.hosting = 'can_host'), array_agg(k.member_id) filter (where not k.stored)
    into hosting, unknown
    from (select l.member_id, f.member_id is not null as stored,
                 steward.rule_hosting(l.reason, facts.org_state, f.match, f.zoom_status, f.zoom_type, facts.shared_host is not null) as hosting
            from (select n.* from steward.live_reasons_under(organization, members, facts.org_state, facts.ever_disconnected, facts.allow_opt_out,
                         facts.rollout, facts.rollout_groups, facts.rollout_domains) n
                  offset 0) l
            left join (
              select s.member_id, s.match, s.zoom_status, s.zoom_type from steward.member_facts s
               where (s.organization_id = organization) is true and s.member_id = any((select members)::uuid[])) f on f.member_id = l.member_id
          offset 0) k;
  if unknown is not null then
    hosting := hosting || array(
      select l.member_id
        from steward.live_members_under(organization, unknown, facts.org_state, facts.ever_disconnected, facts.zoom_account_id, facts.allow_opt_out,
               facts.rollout, facts.rollout_groups, facts.rollout_domains, facts.shared_host, facts.shared_host_type) l
       where l.hosting = 'can_host');
  end if;
  return query
  select distinct s.event_type_id, s.owner_id
    from unnest(asked, asked_owners, serving) as s (event_type_id, owner_id, member_id) where s.member_id = any(hosting);
end $$;
