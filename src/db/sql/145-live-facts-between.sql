-- The same facts as steward.live_facts_under, for the members of an organization whose ids lie after one and up to
-- another, beside what is stored of them: for chunks of runs. One row a member; who left is not here. What goes by
-- member is joined range to range, what goes by address or Zoom user is a look-up by key for each member: the directory
-- and the organization may be a hundred times the range.
--
-- Ranges are written as pairs on purpose: a pair can only use an index that begins with the organization. By the id
-- alone, an organization of twenty could read every member of all others, once statistics say that there is but one.
-- And as pairs alone: with "organization_id = organization" beside them, Postgres lets the scan begin and end with the
-- organization and filters the pairs, so that each chunk would read the index of all its members. (Without it 18 reads the
-- range, 15 from its beginning to the end of the organization.)
create or replace function steward.live_facts_between(organization uuid, after uuid, up_to uuid, account text, rollout text, groups uuid[], domains text[])
returns table (member_id uuid, active boolean, in_rollout boolean, opted_out boolean, personal text,
               address_key text, address_since timestamptz, match text, zoom_user_key text, zoom_status text, zoom_type smallint,
               stored boolean, same boolean)
language sql stable parallel safe as $$
  select g.id, g.active, g.in_rollout, g.opted_out, g.personal, g.key, g.since, g.match, g.user_key, g.user_status, g.user_type, g.stored,
         (g.s_active, g.s_in_rollout, g.s_opted_out, g.s_personal, g.s_key, g.s_since, g.s_match, g.s_user_key, g.s_status, g.s_type)
         is not distinct from
         (g.active, g.in_rollout, g.opted_out, g.personal, g.key, g.since, g.match, g.user_key, g.user_status, g.user_type)
    from (
      select f.*,
             case f.match when 'mapping' then f.mapped_key when 'email' then case when f.held then f.held_key else f.found_key end end as user_key,
             case f.match when 'mapping' then f.mapped_status when 'email' then case when f.held then f.held_status else f.found_status end end as user_status,
             case f.match when 'mapping' then f.mapped_type when 'email' then case when f.held then f.held_type else f.found_type end end as user_type
        from (
          select m.*, eu.found_key, eu.found_status, eu.found_type,
                 steward.rule_match(
                   m.mapped_key is not null, m.held, m.key, eu.found > 1,
                   exists (
                     select from steward_app.members o
                      where o.organization_id = organization and o.active and o.email_verified
                        and steward.address_key(o.email) = m.key and o.id <> m.id
                     limit 1),
                   eu.found_key is not null, m.synced_at >= m.since,
                   exists (select from steward.directory_lookups k where k.zoom_account_id = account and k.address_key = m.key limit 1)) as match
            from (
              select b.id, b.active, b.key, o.member_id is not null as opted_out,
                     case rollout
                       when 'groups' then exists (
                         select from steward_app.group_members gm
                          where gm.member_id = b.id and gm.organization_id = organization and gm.group_id = any(groups)
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
                          and steward.address_key(o.email) = su.address_key and o.id <> b.id
                       limit 1) as held,
                     clock.synced_at, s.member_id is not null as stored,
                     s.active as s_active, s.in_rollout as s_in_rollout, s.opted_out as s_opted_out, s.personal as s_personal,
                     s.address_key as s_key, s.address_since as s_since, s.match as s_match, s.zoom_user_key as s_user_key,
                     s.zoom_status as s_status, s.zoom_type as s_type
                from (
                  select a.id, a.active, a.updated_at, steward.address_key(a.email) as any_key,
                         case when a.email_verified then steward.address_key(a.email) end as key
                    from steward_app.members a
                   where (a.organization_id, a.id) > (organization, after) and (a.organization_id, a.id) <= (organization, up_to)
                  offset 0) b
                cross join (
                  select steward.now() as at, (select c.offset_by from steward.clock c) as offset_by,
                         (select d.synced_at from steward.directories d where d.zoom_account_id = account) as synced_at
                  offset 0) clock
                left join (
                  select c.member_id from steward.opt_outs c
                   where (c.organization_id, c.member_id) > (organization, after) and (c.organization_id, c.member_id) <= (organization, up_to)) o
                  on o.member_id = b.id
                left join (
                  select c.member_id, c.state, (select g.state from steward.grants g where g.id = c.grant_id) as grant_state
                    from steward.personal_connections c
                   where (c.organization_id, c.member_id) > (organization, after) and (c.organization_id, c.member_id) <= (organization, up_to)) p
                  on p.member_id = b.id
                left join (
                  select c.member_id, c.state from steward_app.personal_connections c
                   where (c.organization_id, c.member_id) > (organization, after) and (c.organization_id, c.member_id) <= (organization, up_to)) x
                  on x.member_id = b.id
                left join (
                  select k.* from steward.member_facts k
                   where (k.organization_id, k.member_id) > (organization, after) and (k.organization_id, k.member_id) <= (organization, up_to)) s
                  on s.member_id = b.id
                left join (
                  select z.member_id, z.origin, u.user_key, u.status, u.user_type
                    from steward.zoom_user_mappings z
                   cross join lateral (
                     select d.user_key, d.status, d.user_type from steward.directory_users d
                      where d.zoom_account_id = z.zoom_account_id and d.user_key = z.zoom_user_id
                     limit 1) u
                   where z.zoom_account_id = account
                     and (z.organization_id, z.member_id) > (organization, after) and (z.organization_id, z.member_id) <= (organization, up_to)) mu
                  on mu.member_id = b.id
                 -- What a pair of domains made is the weakest: also before a look has ended it.
                 and (mu.origin = 'person' or b.key is null or not exists (
                   select from steward.directory_users o where o.zoom_account_id = account and o.address_key = b.key limit 1))
                left join lateral (
                  select u.user_key, u.status, u.user_type, u.address_key
                    from steward.directory_users u
                   where u.zoom_account_id = account and u.user_key = s.zoom_user_key and s.match = 'email' and u.zoom_user_id is not null
                   limit 1) su on true
              offset 0) m
            -- By address only where nothing goes before it. Of two nobody is taken, so it is all one which is shown.
            left join lateral (
              select min(t.user_key) as found_key, min(t.status) as found_status, min(t.user_type) as found_type, count(*) as found
                from (
                  select u.user_key, u.status, u.user_type from steward.directory_users u
                   where u.zoom_account_id = account and u.address_key = m.key and not m.held and m.mapped_key is null
                   limit 2) t) eu on true
          offset 0) f
      offset 0) g
$$;
