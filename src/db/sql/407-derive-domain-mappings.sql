-- Whom it concerns by the pairs of domains who these members are, or were: them, whoever has or means an address that
-- theirs or their Zoom users' mean, and whose derived mapping or match by e-mail is to a Zoom user of such an address or
-- of theirs.
create or replace function steward.domain_peers(organization uuid, account text, ids uuid[]) returns uuid[]
language plpgsql stable
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  -- Zoom users they are, or were when they were looked at last.
  users constant text[] := array(
    select f.zoom_user_key from steward.member_facts f
     where f.organization_id = organization and f.member_id = any(ids) and f.zoom_user_key is not null
     union
    select z.zoom_user_id from steward.zoom_user_mappings z where z.organization_id = organization and z.member_id = any(ids));
  own constant text[] := array(
    select steward.address_key(a.email) from steward_app.members a where a.id = any(ids) and a.organization_id = organization
     union
    select f.address_key from steward.member_facts f
     where f.organization_id = organization and f.member_id = any(ids) and f.address_key is not null
     union
    select u.address_key from steward.directory_users u where u.zoom_account_id = account and u.user_key = any(users));
  meant constant text[] := array(select unnest(own) union select steward.equal_addresses(organization, own));
  near constant text[] := array(select unnest(meant) union select steward.equal_addresses(organization, meant));
begin
  return array(
    select unnest(ids)
     union
    select o.id from unnest(near) as k (key)
      join steward_app.members o on o.organization_id = organization and o.active and o.email_verified and steward.address_key(o.email) = k.key
     union
    select matched.member_id
      from (select unnest(users)
             union
            select u.zoom_user_id from unnest(meant) as k (key)
              join steward.directory_users u on u.zoom_account_id = account and u.address_key = k.key) taken (zoom_user_id)
     cross join lateral (
        select z.member_id from steward.zoom_user_mappings z
         where z.zoom_account_id = account and z.zoom_user_id = taken.zoom_user_id and z.organization_id = organization and z.origin = 'domain'
         union all
        select f.member_id from steward.member_facts f
         where f.zoom_user_key = taken.zoom_user_id and f.organization_id = organization and f.match = 'email') matched);
end $$;

-- Brings the mappings that follow from an organization's pairs of domains up to the facts: of these members and whom it
-- concerns with them, or of everybody (null). The rule is in docs/directory.md; nothing is remembered but what a
-- mapping says. Returns what changed. The caller holds the connection's row; who derives holds the organization's lock for it.
create or replace function steward.derive_domain_mappings(organization uuid, account text, ids uuid[])
returns table (member_id uuid, was text, zoom_user_id text)
language plpgsql volatile
set plan_cache_mode = force_custom_plan
set enable_seqscan = on
set enable_hashjoin = on
set enable_mergejoin = on
set enable_nestloop = on
set jit = off
as $$
#variable_conflict use_column
declare
  wanted uuid[];
begin
  if not exists (select from steward.domain_equivalences e where e.organization_id = organization) then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('domains:' || organization, 0));
  if ids is not null then
    wanted := steward.domain_peers(organization, account, ids);
    -- A few by their keys; the planner would hash a directory for them.
    perform set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
  else
    -- Set against set: what is guessed as one row became a nested loop over everybody.
    perform set_config('enable_nestloop', 'off', true);
  end if;
  return query
  with pair as materialized (
    select e.domain as here, e.same_as as there, e.domain, e.same_as, e.actor
      from steward.domain_equivalences e where e.organization_id = organization
     union all
    select e.same_as, e.domain, e.domain, e.same_as, e.actor
      from steward.domain_equivalences e where e.organization_id = organization),
  -- Members who may have one: nobody mapped them, and their address is verified or was when they got it.
  asked as materialized (
    select a.id, a.updated_at, case when a.email_verified then k.key end as key, split_part(k.key, '@', -1) as domain
      from steward_app.members a
     cross join lateral (select steward.address_key(a.email) as key) k
     where a.organization_id = organization and a.active and (wanted is null or a.id = any(wanted))
       and not exists (select from steward.zoom_user_mappings z
                        where z.organization_id = organization and z.member_id = a.id and z.origin = 'person')),
  -- A Zoom user at their own address goes before.
  without as materialized (
    select q.* from asked q
     where q.key is null
        or not exists (select from steward.directory_users o where o.zoom_account_id = account and o.address_key = q.key)),
  held as (
    select z.member_id as id, z.zoom_user_id, u.address_key as address, z.domain, z.same_as, z.actor
      from steward.zoom_user_mappings z
      join without w on w.id = z.member_id
      join steward.directory_users u on u.zoom_account_id = account and u.user_key = z.zoom_user_id
     where z.organization_id = organization and z.zoom_account_id = account and z.origin = 'domain'),
  met as (
    select v.id, min(u.zoom_user_id) as zoom_user_id, min(v.address) as address, min(v.domain) as domain, min(v.same_as) as same_as, min(v.actor) as actor
      from (select w.id, left(w.key, -char_length(w.domain)) || p.there as address, p.domain, p.same_as, p.actor
              from without w join pair p on p.here = w.domain where w.key is not null) v
      join steward.directory_users u on u.zoom_account_id = account and u.address_key = v.address
     group by v.id
    having count(*) = 1 and min(u.zoom_user_id) is not null),
  -- Zoom is known to have nobody at their own address, and no earlier match by e-mail still stands.
  fresh as (
    select m.*
      from met m
      join without w on w.id = m.id
     cross join (select steward.now() as at, (select c.offset_by from steward.clock c) as offset_by,
                        (select d.synced_at from steward.directories d where d.zoom_account_id = account) as synced_at offset 0) clock
      left join steward.member_facts f on f.organization_id = organization and f.member_id = m.id
     where (coalesce(clock.synced_at >= steward.rule_address_since(w.key, f.member_id is not null, f.address_key, f.address_since, clock.at,
                                                                   w.updated_at, clock.offset_by), false)
            or exists (select from steward.directory_lookups k where k.zoom_account_id = account and k.address_key = w.key))
       and not (coalesce(f.match = 'email', false) and exists (
             select from steward.directory_users h
              where h.zoom_account_id = account and h.user_key = f.zoom_user_key and h.zoom_user_id is not null
                and not exists (select from steward_app.members o
                                 where o.organization_id = organization and o.active and o.email_verified
                                   and steward.address_key(o.email) = h.address_key and o.id <> m.id)))),
  candidate as materialized (
    select h.*, true as holds from held h
     union all
    select n.*, false from fresh n),
  -- Another member's address is, or means, the user's.
  claimed as (
    select r.id, r.zoom_user_id
      from (select c.id, c.zoom_user_id, c.address as key from candidate c
             union all
            select c.id, c.zoom_user_id, left(c.address, -char_length(p.here)) || p.there
              from candidate c join pair p on p.here = split_part(c.address, '@', -1)) r
      join steward_app.members o on o.organization_id = organization and o.active and o.email_verified and steward.address_key(o.email) = r.key
     where o.id <> r.id),
  -- Another member is that user by a mapping of a person, or by e-mail.
  taken as (
    select c.id, c.zoom_user_id
      from candidate c
      join steward.zoom_user_mappings z on z.organization_id = organization and z.zoom_account_id = account
       and z.zoom_user_id = c.zoom_user_id and z.origin = 'person' and z.member_id <> c.id
     union all
    select c.id, c.zoom_user_id
      from candidate c
      join steward.member_facts o on o.organization_id = organization and o.zoom_user_key = c.zoom_user_id
       and o.match = 'email' and o.member_id <> c.id
       and not exists (select from steward.zoom_user_mappings z
                         join steward.directory_users u on u.zoom_account_id = account and u.user_key = z.zoom_user_id
                        where z.organization_id = organization and z.member_id = o.member_id and z.zoom_account_id = account)
      join steward_app.members a on a.id = o.member_id and a.organization_id = organization and a.active),
  desired as (
    select distinct on (c.id) c.*
      from candidate c
     where not exists (select from claimed x where x.id = c.id and x.zoom_user_id = c.zoom_user_id)
       and not exists (select from taken x where x.id = c.id and x.zoom_user_id = c.zoom_user_id)
     order by c.id, c.holds desc),
  change as materialized (
    select coalesce(d.id, s.member_id) as member_id, s.zoom_user_id as was, d.zoom_user_id, d.domain, d.same_as, d.actor
      from desired d
      full join (
        select z.* from steward.zoom_user_mappings z
         where z.organization_id = organization and z.origin = 'domain' and (wanted is null or z.member_id = any(wanted))) s
        on s.member_id = d.id
     where (s.zoom_account_id, s.zoom_user_id, s.domain, s.same_as) is distinct from (account, d.zoom_user_id, d.domain, d.same_as)),
  ended as (
    delete from steward.zoom_user_mappings z
     using change c
     where z.organization_id = organization and z.member_id = c.member_id and z.origin = 'domain' and c.zoom_user_id is null),
  made as (
    insert into steward.zoom_user_mappings as z (organization_id, member_id, zoom_account_id, zoom_user_id, actor, origin, domain, same_as, created_at)
    select organization, c.member_id, account, c.zoom_user_id, c.actor, 'domain', c.domain, c.same_as, steward.now()
      from change c where c.zoom_user_id is not null
    on conflict (organization_id, member_id) do update
       set (zoom_account_id, zoom_user_id, actor, domain, same_as, created_at)
         = (excluded.zoom_account_id, excluded.zoom_user_id, excluded.actor, excluded.domain, excluded.same_as, excluded.created_at)
     where z.origin = 'domain')
  select c.member_id, c.was, c.zoom_user_id from change c order by c.member_id;
end $$;
