-- State of a grant, by key. For comparisons of whole tables: joined, with nested loops off, the grants of everybody would be
-- read, and a look-up as part of the statement would keep parallel workers out.
create or replace function steward.grant_state(of_grant uuid) returns text
language plpgsql stable strict parallel safe as $$
begin
  return (select g.state from steward.grants g where g.id = of_grant);
end $$;

-- Whose stored facts may no longer be what the base tables say; a plan looks at these with steward.live_members, and
-- takes the stored facts of all others. Set against set: nothing is computed again that was computed when the facts
-- were stored, and an address that reads like its stored key is unchanged. It names some whose facts are right (people
-- ambiguous, matched at another address than theirs, or at that of somebody mapped), and passes over nobody whose facts are not:
-- of two members who share an address, whoever was looked at last is one of those, and brings the other along
-- (steward.doubtful_peers). The same member may be named several times. No limit, no look-up by row and nothing aggregated in
-- here: each would keep parallel workers out.
create or replace function steward.doubtful_members(organization uuid, account text, rollout text, groups uuid[], domains text[])
returns table (member_id uuid)
language sql stable parallel safe as $$
  select coalesce(m.id, f.member_id)
    from (
      select a.id, a.active, a.email, a.email_verified from steward_app.members a where a.organization_id = organization) m
    full join (
      select k.* from steward.member_facts k where k.organization_id = organization) f on f.member_id = m.id
    left join (
      select c.member_id, c.state from steward_app.personal_connections c where c.organization_id = organization) x on x.member_id = m.id
    left join (
      select c.member_id, c.state, steward.grant_state(c.grant_id) as grant_state
        from steward.personal_connections c
       where c.organization_id = organization) p on p.member_id = m.id
    left join (
      select c.member_id from steward.opt_outs c where c.organization_id = organization) o on o.member_id = m.id
    left join (
      select z.member_id, z.origin, d.user_key, d.status, d.user_type
        from steward.zoom_user_mappings z
        join steward.directory_users d on d.zoom_account_id = account and d.user_key = z.zoom_user_id
       where z.organization_id = organization and z.zoom_account_id = account) z on z.member_id = m.id
    left join (
      select gm.member_id from steward_app.group_members gm
       where rollout = 'groups' and gm.organization_id = organization and gm.group_id = any(groups)) gm on gm.member_id = m.id
    left join (
      select u.user_key, u.zoom_user_id, u.address_key, u.status, u.user_type
        from steward.directory_users u where u.zoom_account_id = account) u on u.address_key = f.address_key
    left join (
      select k.address_key from steward.directory_lookups k where k.zoom_account_id = account) k on k.address_key = f.address_key
   where not coalesce(
         m.active = f.active
     and case when m.email_verified then m.email = f.address_key or steward.address_key(m.email) is not distinct from f.address_key
              else f.address_key is null end
     and f.in_rollout = case rollout
           when 'groups' then gm.member_id is not null
           when 'domains' then coalesce(split_part(steward.address_key(m.email), '@', -1) = any(domains), false)
           else true
         end
     and f.opted_out = (o.member_id is not null)
     and f.personal = steward.rule_personal(p.state, p.grant_state, x.state)
     and (z.member_id is null or f.match = 'mapping')
     and case f.match
           when 'mapping' then z.user_key = f.zoom_user_key and z.status = f.zoom_status and z.user_type = f.zoom_type
                               and (z.origin = 'person' or u.user_key is null)
           when 'email' then u.user_key = f.zoom_user_key and u.status = f.zoom_status and u.user_type = f.zoom_type
           when 'not_verified' then f.address_key is null
           when 'none' then u.user_key is null and ((select d.synced_at from steward.directories d where d.zoom_account_id = account) >= f.address_since or k.address_key is not null)
           when 'checking' then u.user_key is null and k.address_key is null and not coalesce((select d.synced_at from steward.directories d where d.zoom_account_id = account) >= f.address_since, false)
           else false
         end, false)
  union all
  -- Of those who are mapped nothing shows that they share an address: whoever shares it with them does not know. Asked as
  -- `exists`: joined, each of them would be a row more of whoever shares it, and be compared with all others of them.
  select f.member_id
    from steward.member_facts f
   where f.organization_id = organization and f.match <> 'mapping'
     and exists (select from steward.member_facts k
                  where k.organization_id = organization and k.match = 'mapping' and k.address_key = f.address_key)
$$;

-- Whose stored address is that of one of these: whatever made the one doubtful may have made the other ambiguous, or no
-- longer so. Who has such an address by now and not as stored is doubtful already. Looked up by id and by address and by
-- nothing else: without statistics the key of the whole organization looks as good, and each of them would read all of it
-- (measured: 3,000 of 100,000 members in 10 s, so in 0.1 s).
create or replace function steward.doubtful_peers(organization uuid, ids uuid[])
returns setof uuid
language plpgsql stable
set plan_cache_mode = force_generic_plan
-- Whoever calls compares whole tables, and may have switched nested loops off.
set enable_nestloop = on
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
  return query
  select f.member_id
    from (
      select distinct steward.address_key(a.email) as key
        from unnest(ids) w (id)
       cross join lateral (
         select m.organization_id, m.email, m.active and m.email_verified as counts from steward_app.members m where m.id = w.id offset 0) a
       where a.organization_id = organization and a.counts) taken
   cross join lateral (
     select k.organization_id, k.member_id from steward.member_facts k where k.address_key = taken.key offset 0) f
   where f.organization_id = organization;
end $$;
