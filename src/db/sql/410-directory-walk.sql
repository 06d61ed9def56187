-- Stores one page of a directory walk and moves the walk to its next place, if it still stands where the page was asked
-- for; renews the lease for so long and counts the calls made since the page before. Users arrive as {"id", "key", "hash",
-- "type", "status"}, with key and keyed hash of their address; pending ones have no id and are keyed by that hash. Returns
-- the calls of walks of this account today; null where the walk did not move. The commit is not waited for: place and
-- page are one transaction and reach the disk together or not at all, so a server that fails goes back a page or two,
-- to a page token that still lives; the swap waits, and everything before it is on the disk then.
drop function if exists steward.stage_directory_page(uuid, jsonb);
create or replace function steward.stage_directory_page(
  account text, walk uuid, at_status text, at_token text, next_status text, next_token text, lease interval, calls integer, page jsonb)
returns integer language plpgsql volatile as $$
declare
  today constant timestamptz := date_trunc('day', steward.now(), 'UTC');
  counted integer;
begin
  perform set_config('synchronous_commit', 'off', true);
  update steward.directories d
     set walk_status = next_status, walk_page_token = next_token, walk_lease_until = steward.now() + lease,
         walk_asked_at = steward.now(), walk_day = today,
         walk_calls = calls + case when walk_day = today then walk_calls else 0 end
   where zoom_account_id = account and walk_id = walk and walk_status = at_status
     and walk_page_token is not distinct from at_token
  returning walk_calls into counted;
  if counted is null then
    return null;
  end if;
  insert into steward.directory_staging (walk_id, user_key, zoom_user_id, address_key, address_hash, status, user_type)
  select distinct on (user_key) walk, user_key, u.id, coalesce(u.key, ''), u.hash, u.status, coalesce(u.type, 99)
    from jsonb_to_recordset(page) as u (id text, key text, hash text, type smallint, status text),
         lateral (select coalesce(u.id, 'pending:' || u.hash) as user_key) k
   where user_key is not null
   order by user_key
  on conflict (walk_id, user_key) do update
     set address_key = excluded.address_key, address_hash = excluded.address_hash,
         status = excluded.status, user_type = excluded.user_type;
  return counted;
end $$;

-- Replaces the copy of an account's users by what a complete walk has staged, touching only what differs. Users that
-- a single lookup added after the walk began are kept: the walk may have passed their page before. So is what a look
-- that a webhook asked for found since, also that somebody is gone. Of users whose address no member of ours has, nor
-- means by a pair of domains, the address is forgotten: only its keyed hash is written. Returns how many rows changed.
create or replace function steward.swap_directory(account text, walk uuid, began timestamptz) returns integer
language plpgsql volatile set enable_nestloop = off as $$
declare
  part integer;
  changed integer := 0;
begin
  delete from steward.directory_users d
   where d.zoom_account_id = account and d.seen_at < began
     and not exists (select from steward.directory_staging s where s.walk_id = walk and s.user_key = d.user_key);
  get diagnostics part = row_count;
  changed := changed + part;

  insert into steward.directory_users as d
    (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, duplicate, walk_id, seen_at)
  select account, s.user_key, s.zoom_user_id,
         case when s.address_key = '' or ours.key is not null then s.address_key else s.address_hash end,
         s.status, s.user_type, s.duplicate, walk, began
    from (select staged.*, count(*) over (partition by staged.address_key) > 1 as duplicate
            from steward.directory_staging staged where staged.walk_id = walk) s
    left join (
      select steward.address_key(m.email) as key from steward_app.members m
       where m.organization_id in (select steward.organizations_on_account(account))
       union
      select left(k.key, -char_length(k.domain)) || p.there
        from (select e.organization_id, e.domain as here, e.same_as as there from steward.domain_equivalences e
               union all
              select e.organization_id, e.same_as, e.domain from steward.domain_equivalences e) p
        join (select m.organization_id, steward.address_key(m.email) as key, split_part(steward.address_key(m.email), '@', -1) as domain
                from steward_app.members m
               where m.organization_id in (select steward.organizations_on_account(account))) k
          on k.organization_id = p.organization_id and k.domain = p.here) ours on ours.key = s.address_key
   where not exists (select from steward.hints h
                      where h.zoom_account_id = account and h.asked_at >= began
                        and h.subject = 'user:' || account || '/' || s.user_key)
  on conflict (zoom_account_id, user_key) do update
     set address_key = excluded.address_key, status = excluded.status, user_type = excluded.user_type,
         duplicate = excluded.duplicate, zoom_user_id = excluded.zoom_user_id, walk_id = excluded.walk_id, seen_at = excluded.seen_at
   where (d.address_key, d.status, d.user_type, d.duplicate, d.zoom_user_id)
         is distinct from (excluded.address_key, excluded.status, excluded.user_type, excluded.duplicate, excluded.zoom_user_id)
     and d.seen_at < began;
  get diagnostics part = row_count;
  changed := changed + part;

  delete from steward.directory_lookups where zoom_account_id = account and looked_up_at < began;
  delete from steward.directory_staging where walk_id = walk;
  return changed;
end $$;

-- Matched users that a finished walk did not see: of the members matched to this account, how many, and the first few
-- of those lost, by Zoom user id.
create or replace function steward.lost_in_walk(account text, walk uuid, examples integer)
returns table (matched bigint, lost bigint, sample text[])
language sql stable set enable_nestloop = off as $$
  with matched as materialized (
    select distinct f.zoom_user_key as key
      from steward.org_connections c
      join steward.member_facts f on f.organization_id = c.organization_id
     where c.zoom_account_id = account and c.state in ('active', 'interrupted') and f.zoom_user_key is not null
       -- Who accepts an invitation gets an id and with it another key: not lost.
       and f.zoom_user_key not like 'pending:%'),
  lost as (
    select key from matched m
     where not exists (select from steward.directory_staging s where s.walk_id = walk and s.user_key = m.key)
     order by key)
  select (select count(*) from matched), (select count(*) from lost),
         (select coalesce(array_agg(key), '{}') from (select key from lost limit examples) few);
$$;
