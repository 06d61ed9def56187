-- "No other member has this address" is asked live, for one member in a million. Where members is a table of ours to
-- index, the index is made here; for a view, or another owner's table, docs/contracts/app-schema.md names it.
do $$
begin
  if to_regclass('steward_app.members_address_key') is null and exists (
       select from pg_class c where c.oid = to_regclass('steward_app.members') and c.relkind = 'r'
          and pg_has_role(current_user, c.relowner, 'usage')) then
    create index members_address_key on steward_app.members (organization_id, steward.address_key(email)) where active and email_verified;
  end if;
end $$;
