-- The one computation of what the rules need to know of members, from the base tables: used live for one member
-- (resolve), for the hosts of a chunk of event types, and by the runs that store it in member_facts.
-- One row an id, also for an id without member row in this organization (present is then false).
-- The organization's facts come as arguments, so that the planner sees constants; steward.live_facts looks them up.
--
-- member_facts is read for two things that only memory can tell: which Zoom user an e-mail match had found
-- ("holds until that user is gone or another member's verified address is theirs"), and since when an address is known.
-- Without a row, an address is as old as the member row's last change says.
-- "is true" of the main app's tables: an index on the organization alone would else look cheaper than the member's key where most
-- organizations are tiny, and a large one be read whole for each of its members.
create or replace function steward.live_facts_under(organization uuid, ids uuid[], account text, rollout text, groups uuid[], domains text[])
returns table (organization_id uuid, member_id uuid, present boolean, active boolean, in_rollout boolean, opted_out boolean, personal text,
               address_key text, address_since timestamptz, match text, zoom_user_key text, zoom_status text, zoom_type smallint)
language sql stable parallel safe as $$
  select organization, f.id, f.present, f.active, f.in_rollout, f.opted_out, f.personal, f.key, f.since, f.match,
         case f.match when 'mapping' then f.mapped_key when 'email' then case when f.held then f.held_key else f.found_key end end,
         case f.match when 'mapping' then f.mapped_status when 'email' then case when f.held then f.held_status else f.found_status end end,
         case f.match when 'mapping' then f.mapped_type when 'email' then case when f.held then f.held_type else f.found_type end end
    from (
      select m.*, eu.found_key, eu.found_status, eu.found_type,
             steward.rule_match(
               m.mapped_key is not null, m.held, m.key, eu.found_twice,
               exists (
                 select from steward_app.members o
                  where o.organization_id = organization and o.active and o.email_verified
                    and steward.address_key(o.email) = m.key and o.id <> m.id),
               eu.found_key is not null, m.synced_at >= m.since,
               exists (select from steward.directory_lookups k where k.zoom_account_id = account and k.address_key = m.key)) as match
        from (
          select w.id, b.id is not null as present, coalesce(b.active, false) as active, b.key,
                 coalesce((select true from steward.opt_outs o where o.organization_id = organization and o.member_id = w.id limit 1), false) as opted_out,
                 case rollout
                   when 'groups' then exists (
                     select from steward_app.group_members gm
                      where gm.member_id = w.id and gm.organization_id = organization and gm.group_id = any(groups)
                     limit 1)
                   -- The address as entered, verified or not: a pending verification takes Zoom from nobody.
                   when 'domains' then coalesce(split_part(b.any_key, '@', -1) = any(domains), false)
                   else true
                 end as in_rollout,
                 steward.rule_personal(p.state, p.grant_state, x.state) as personal,
                 steward.rule_address_since(b.key, s.member_id is not null, s.address_key, s.address_since, clock.at, b.updated_at, clock.offset_by) as since,
                 mu.user_key as mapped_key, mu.status as mapped_status, mu.user_type as mapped_type,
                 su.user_key as held_key, su.status as held_status, su.user_type as held_type,
                 su.user_key is not null and not exists (
                   select from steward_app.members o
                    where o.organization_id = organization and o.active and o.email_verified
                      and steward.address_key(o.email) = su.address_key and o.id <> w.id) as held,
                 (select d.synced_at from steward.directories d where d.zoom_account_id = account) as synced_at
            from unnest(ids) as w (id)
            cross join (select steward.now() as at, (select c.offset_by from steward.clock c) as offset_by offset 0) clock
            -- "limit 1" of what a key makes one row: each is a lookup by that key, whatever the planner thinks of the
            -- rest. Left to itself it merges or hashes whole organizations and directories for every chunk.
            left join lateral (
              select a.id, a.active, a.updated_at, steward.address_key(a.email) as any_key,
                     case when a.email_verified then steward.address_key(a.email) end as key
                from steward_app.members a where a.id = w.id and (a.organization_id = organization) is true
               limit 1) b on true
            left join lateral (
              select c.state, (select g.state from steward.grants g where g.id = c.grant_id) as grant_state
                from steward.personal_connections c where c.organization_id = organization and c.member_id = w.id
               limit 1) p on true
            left join lateral (
              select c.state from steward_app.personal_connections c where c.member_id = w.id and (c.organization_id = organization) is true
               limit 1) x on true
            left join lateral (
              select k.member_id, k.address_key, k.address_since, k.match, k.zoom_user_key
                from steward.member_facts k where k.organization_id = organization and k.member_id = w.id
               limit 1) s on true
            left join lateral (
              select u.user_key, u.status, u.user_type
                from steward.zoom_user_mappings z
                join steward.directory_users u on u.zoom_account_id = z.zoom_account_id and u.user_key = z.zoom_user_id
               where z.organization_id = organization and z.member_id = w.id and z.zoom_account_id = account
                 -- What a pair of domains made is the weakest: also before a look has ended it.
                 and (z.origin = 'person' or b.key is null or not exists (
                   select from steward.directory_users o where o.zoom_account_id = account and o.address_key = b.key))
               limit 1) mu on true
            left join lateral (
              select u.user_key, u.status, u.user_type, u.address_key
                from steward.directory_users u
               where u.zoom_account_id = account and u.user_key = s.zoom_user_key and s.match = 'email' and u.zoom_user_id is not null
               limit 1) su on true
          offset 0) m
          -- By address only where nothing goes before it; that saves a run its dearest lookups.
          left join lateral (
            select u.user_key as found_key, u.status as found_status, u.user_type as found_type,
                   exists (select from steward.directory_users t
                            where t.zoom_account_id = account and t.address_key = m.key and t.user_key <> u.user_key) as found_twice
              from steward.directory_users u
             where u.zoom_account_id = account and u.address_key = m.key and not m.held and m.mapped_key is null
             limit 1) eu on true
      offset 0) f
$$;

-- The same, with the organization's facts as they are.
create or replace function steward.live_facts(organization uuid, ids uuid[])
returns table (organization_id uuid, member_id uuid, present boolean, active boolean, in_rollout boolean, opted_out boolean, personal text,
               address_key text, address_since timestamptz, match text, zoom_user_key text, zoom_status text, zoom_type smallint)
language sql stable parallel safe as $$
  select l.* from steward.organization_facts(organization) f
   cross join lateral steward.live_facts_under(organization, ids, f.zoom_account_id, f.rollout, f.rollout_groups, f.rollout_domains) l
$$;
