-- Organizations whose members may be users of this Zoom account: connected to it, or with an approval of it under way.
create or replace function steward.organizations_on_account(account text) returns setof uuid
language sql stable parallel safe as $$
  select c.organization_id from steward.org_connections c
   where c.zoom_account_id = account and c.state in ('active', 'interrupted', 'disconnecting')
   union
  select c.organization_id
    from steward.grants g
    join steward.candidates k on k.grant_id = g.id
    join steward.org_connections c on c.id = k.connection_id
   where g.zoom_account_id = account
     and k.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation')
$$;

-- What the copy of a directory keeps of an address: its key if a member of ours has it verified, or has one that means the
-- same, else the hash. By key for one address; a walk's swap asks for all at once.
create or replace function steward.address_form(account text, key text, hash text) returns text
language sql stable parallel safe as $$
  select case when exists (
    select from steward.organizations_on_account(account) o (id)
     cross join lateral (select key as wanted union all select steward.equal_addresses(o.id, array[key])) w
     cross join lateral (
       select from steward_app.members m
        where m.organization_id = o.id and m.active and m.email_verified and steward.address_key(m.email) = w.wanted
        limit 1) m) then key else hash end
$$;

-- Somebody of ours has, or means, these addresses (beside each, one of its hashes; an address may come several times): users
-- that were kept under a hash are known by the address from now on. Returns how many.
-- The caller holds the account's row in steward.directories, as a swap does.
create or replace function steward.reveal_addresses(account text, keys text[], hashes text[]) returns integer
language plpgsql volatile as $$
declare
  revealed integer;
begin
  update steward.directory_users u set address_key = known.key
    from unnest(keys, hashes) as known (key, hash)
   where u.zoom_account_id = account and u.address_key = known.hash;
  get diagnostics revealed = row_count;
  if revealed > 0 then
    update steward.directory_users u set duplicate = same.n > 1
      from (select d.address_key, count(*) as n from steward.directory_users d
             where d.zoom_account_id = account and d.address_key = any(keys) group by 1) same
     where u.zoom_account_id = account and u.address_key = same.address_key and u.duplicate is distinct from (same.n > 1);
  end if;
  return revealed;
end $$;

-- The same for one address and its hashes.
create or replace function steward.reveal_address(account text, key text, hashes text[]) returns integer
language sql volatile
return steward.reveal_addresses(account, array_fill(key, array[cardinality(hashes)]), hashes);
