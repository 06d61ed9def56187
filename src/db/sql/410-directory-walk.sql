-- Stores one page of a directory walk and moves the walk to its next place, if it still stands where the page was asked
-- for; renews the lease for so long and counts the calls made since the page before. Users arrive side by side: id, key and
-- keyed hash of the address, type; pending ones have no id. A page is one row: rows of their own, with a key to find them by,
-- were most of what a walk cost. Returns the calls of walks of this account today; null where the walk did not move. The
-- commit is not waited for: place and page are one transaction and reach the disk together or not at all, so a server that
-- fails goes back a page or two, to a page token that still lives; the swap waits, and everything before it is on the disk then.
drop function if exists steward.stage_directory_page(uuid, jsonb);
drop function if exists steward.stage_directory_page(text, uuid, text, text, text, text, interval, integer, jsonb);
create or replace function steward.stage_directory_page(
  account text, walk uuid, at_status text, at_token text, next_status text, next_token text, lease interval, calls integer,
  ids text[], keys text[], hashes text[], types smallint[])
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
  if counted is not null and cardinality(ids) > 0 then
    insert into steward.directory_staging (walk_id, status, zoom_user_ids, address_keys, address_hashes, user_types)
    values (walk, at_status, ids, keys, hashes, types);
  end if;
  return counted;
end $$;

-- The users a walk has staged, one by one. Lists shift while they are read, so somebody may come twice: the later place
-- counts. Pending users have no id and are keyed by the hash of their address; who has neither is nobody.
drop function if exists steward.staged_users(uuid);
create or replace function steward.staged_users(walk uuid)
returns table (place bigint, user_key text, zoom_user_id text, address_key text, address_hash text, status text, user_type smallint)
language sql stable as $$
  select u.place, coalesce(u.id, 'pending:' || u.hash), u.id, coalesce(u.key, ''), u.hash, u.status, coalesce(u.type, 99::smallint)
    -- Arrays side by side in the list of columns: as a source of rows each page would be stored once more.
    from (select s.page << 32 | generate_subscripts(s.zoom_user_ids, 1) as place, s.status, unnest(s.zoom_user_ids) as id,
                 unnest(s.address_keys) as key, unnest(s.address_hashes) as hash, unnest(s.user_types) as type
            from steward.directory_staging s where s.walk_id = walk) u
   where u.id is not null or u.hash is not null
$$;

-- Addresses that are ours where an account's directory is concerned: of members, whatever they are, and what these mean.
create or replace function steward.addresses_of_ours(account text) returns setof text
language sql stable as $$
  with ours as not materialized (
    select m.organization_id, steward.address_key(m.email) as key from steward_app.members m
     where m.organization_id in (select steward.organizations_on_account(account)))
  select key from ours
   union all
  select left(o.key, -char_length(p.here)) || p.there
    from (select e.organization_id, e.domain as here, e.same_as as there from steward.domain_equivalences e
           union all
          select e.organization_id, e.same_as, e.domain from steward.domain_equivalences e) p
    join ours o on o.organization_id = p.organization_id and split_part(o.key, '@', -1) = p.here
$$;

-- The first copy of an account: all of them are new, so nothing is compared. Texts are neither sorted nor hashed into each
-- other: who comes twice, and addresses that several have, are looked for by 64-bit prints and then made sure of as texts. By
-- print alone an address is taken for one of ours: of a million strangers beside a million members one is in 20 million walks,
-- and is a hash again after the next one, as each walk has prints of its own. Rows come in the order of their pages.
create or replace function steward.fill_directory(account text, walk uuid, began timestamptz) returns integer
language plpgsql volatile
set enable_nestloop = off
-- Many groups of one: sorted integers are two thirds of a table of them.
set enable_hashagg = off
set jit = off
as $$
declare
  seed constant bigint := hashtextextended(walk::text, 0);
  added integer;
begin
  with again as materialized (
    select hashtextextended(u.user_key, seed) as print from steward.staged_users(walk) u group by 1 having count(*) > 1),
  stale as materialized (
    select place
      from (select u.place, row_number() over (partition by u.user_key order by u.place desc) as nth
              from steward.staged_users(walk) u join again a on a.print = hashtextextended(u.user_key, seed)) places
     where nth > 1),
  crowded as materialized (
    select hashtextextended(u.address_key, seed) as print from steward.staged_users(walk) u group by 1 having count(*) > 1),
  shared as materialized (
    select u.address_key
      from steward.staged_users(walk) u join crowded c on c.print = hashtextextended(u.address_key, seed)
     where not exists (select from stale s where s.place = u.place)
     group by u.address_key having count(*) > 1),
  ours as (
    select o.print from (select hashtextextended(k.key, seed) as print from steward.addresses_of_ours(account) k (key) offset 0) o
     where o.print is not null group by o.print)
  insert into steward.directory_users
    (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, duplicate, walk_id, seen_at)
  select account, u.user_key, u.zoom_user_id, case when u.address_key = '' or o.print is not null then u.address_key else u.address_hash end,
         u.status, u.user_type, h.address_key is not null, walk, began
    from steward.staged_users(walk) u
    left join ours o on o.print = hashtextextended(u.address_key, seed)
    left join shared h on h.address_key = u.address_key
   where not exists (select from stale s where s.place = u.place)
     and not exists (select from steward.hints l
                      where l.zoom_account_id = account and l.asked_at >= began and l.subject = 'user:' || account || '/' || u.user_key);
  get diagnostics added = row_count;
  return added;
end $$;

-- Replaces the copy of an account's users by what a complete walk has staged: what differs is found set against set, and
-- nothing else is touched or locked. Whoever writes into the copy holds the account's row in steward.directories, as the caller
-- does: nobody comes in beside it. Users that a single lookup added after the walk began are kept: the walk may have passed
-- their page before. So is what a look that a webhook asked for found since, also that somebody is gone. Of users whose address
-- no member of ours has, nor means by a pair of domains, the address is forgotten: only its keyed hash is written. Returns how
-- many rows changed.
create or replace function steward.swap_directory(account text, walk uuid, began timestamptz) returns integer
language plpgsql volatile
-- How many users a page holds the planner does not know: look-ups one by one of a million are never what is wanted.
set enable_nestloop = off
set jit = off
as $$
declare
  changed integer;
begin
  if not exists (select from steward.directory_users where zoom_account_id = account) then
    changed := steward.fill_directory(account, walk, began);
  else
  with staged as materialized (
    select distinct on (user_key) * from steward.staged_users(walk) order by user_key, place desc),
  addresses as (
    select said.key, bool_or(said.ours) as ours, count(*) filter (where not said.ours) > 1 as shared
      from (select address_key as key, false as ours from staged
             union all
            select o.key, true from steward.addresses_of_ours(account) o (key)) said
     group by said.key),
  walked as (
    select s.user_key, s.zoom_user_id, s.status, s.user_type, a.shared as duplicate,
           case when s.address_key = '' or a.ours then s.address_key else s.address_hash end as address_key
      from staged s join addresses a on a.key = s.address_key),
  differs as materialized (
    select w.*, d.user_key as known_key, d.address_key as known_address, d.seen_at as known_since
      from walked w
      full join (select * from steward.directory_users where zoom_account_id = account) d on d.user_key = w.user_key
     where w.user_key is null
        or (d.address_key, d.status, d.user_type, d.duplicate, d.zoom_user_id)
           is distinct from (w.address_key, w.status, w.user_type, w.duplicate, w.zoom_user_id)),
  gone as (
    delete from steward.directory_users d using differs x
     where x.user_key is null and d.zoom_account_id = account and d.user_key = x.known_key and d.seen_at < began
    returning d.user_key),
  due as not materialized (
    select * from differs x
     where x.user_key is not null
       and not exists (select from steward.hints h
                        where h.zoom_account_id = account and h.asked_at >= began
                          and h.subject = 'user:' || account || '/' || x.user_key)
       -- Who accepted their invitation since has an id by now, and is not two people.
       and not (x.zoom_user_id is null and x.address_key = any(array(
             select k.known_address from differs k
              where k.user_key is null and k.known_since >= began and k.known_key not like 'pending:%')))),
  written as (
    update steward.directory_users d
       set address_key = x.address_key, status = x.status, user_type = x.user_type, duplicate = x.duplicate,
           zoom_user_id = x.zoom_user_id, walk_id = walk, seen_at = began
      from due x
     where d.zoom_account_id = account and d.user_key = x.known_key and d.seen_at < began
    returning d.user_key),
  added as (
    insert into steward.directory_users
      (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, duplicate, walk_id, seen_at)
    select account, x.user_key, x.zoom_user_id, x.address_key, x.status, x.user_type, x.duplicate, walk, began
      from due x where x.known_key is null order by x.user_key
    returning user_key)
  select (select count(*) from gone) + (select count(*) from written) + (select count(*) from added) into changed;
  end if;

  delete from steward.directory_lookups where zoom_account_id = account and looked_up_at < began;
  delete from steward.directory_staging where walk_id = walk;
  return changed;
end $$;

-- Matched users that a finished walk did not see: of the members matched to this account, how many, and the first few
-- of those lost, by Zoom user id. Compared by 64-bit prints of the walk's own: one lost user beside a million seen is taken for seen in one of
-- 18 million million walks, and missed by the next one. Nobody asks how many are matched where nobody is lost: 0 then.
create or replace function steward.lost_in_walk(account text, walk uuid, examples integer)
returns table (matched bigint, lost bigint, sample text[])
language sql stable set enable_nestloop = off set jit = off as $$
  with seed as materialized (select hashtextextended(walk::text, 0) as seed),
  matched as not materialized (
    select f.zoom_user_key as key
      from steward.org_connections c
      join steward.member_facts f on f.organization_id = c.organization_id
     where c.zoom_account_id = account and c.state in ('active', 'interrupted') and f.zoom_user_key is not null
       -- Who accepts an invitation gets an id and with it another key: not lost.
       and f.zoom_user_key not like 'pending:%'),
  lost as materialized (
    select distinct m.key
      from (select key, hashtextextended(key, (select seed from seed)) as print from matched offset 0) m
     where not exists (select from (select hashtextextended(u.user_key, (select seed from seed)) as print
                                      from steward.staged_users(walk) u offset 0) s
                        where s.print = m.print))
  select case when exists (select from lost) then (select count(distinct key) from matched) else 0 end, (select count(*) from lost),
         (select coalesce(array_agg(key order by key), '{}') from (select key from lost order by key limit examples) few);
$$;

-- How many users a copy has, how many active members an organization, and how many of these are found there by verified
-- address; addresses that two members or two Zoom users share find nobody. As texts: whether a person must confirm hangs on it, and
-- prints of texts that others choose could be made to meet. Never by nested loops: a join of two relations whose sizes the planner
-- can only guess became one, 80 million comparisons for ten thousand members.
create or replace function steward.found_in_directory(organization uuid, account text)
returns table (zoom_users bigint, members bigint, matched bigint)
language sql stable set enable_nestloop = off set jit = off as $$
  select (select count(*) from steward.directory_users d where d.zoom_account_id = account),
         (select count(*) from steward_app.members m where m.organization_id = organization and m.active),
         (select count(*)
            from (select m.key
                    from (select steward.address_key(email) as key from steward_app.members
                           where organization_id = organization and active and email_verified offset 0) m
                    join steward.directory_users d on d.zoom_account_id = account and d.address_key = m.key
                   group by m.key having count(*) = 1) pairs)
$$;
