-- Whose match may change with this member: who has, or is stored with, the address the member has or had, and who holds
-- the Zoom user of such an address by an earlier match. At most so many: of three with one address, whichever comes or
-- goes, the others stay ambiguous.
create or replace function steward.member_peers(organization uuid, member uuid, most integer)
returns setof uuid
language plpgsql stable
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
  return query
  with keys as materialized (
    select steward.address_key(a.email) as key from steward_app.members a where a.id = member and a.organization_id = organization
     union select f.address_key from steward.member_facts f where f.organization_id = organization and f.member_id = member
              and f.address_key is not null)
  select found.id from keys cross join lateral (
    (select o.id from steward_app.members o
      where o.organization_id = organization and o.active and o.email_verified and steward.address_key(o.email) = keys.key
      limit most)
    union
    (select f.member_id from steward.member_facts f where f.organization_id = organization and f.address_key = keys.key limit most)
    union
    (select f.member_id
       from steward.org_connections c
       join steward.directory_users u on u.zoom_account_id = c.zoom_account_id and u.address_key = keys.key
       join steward.member_facts f on f.organization_id = organization and f.zoom_user_key = u.user_key
      where c.organization_id = organization
      limit most)) found (id)
   where found.id <> member
   group by found.id limit most;
end $$;
