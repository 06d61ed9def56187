-- Who may do what in this database. Four group roles without login; an installation makes its logins members:
--   steward_owner   runs migrate, and owns what migrate makes
--   steward_worker  worker and server processes: reads and writes the worker's tables, writes locations and the
--                   detached mark of the main app, nothing else of it
--   steward_app     the main app: says "look at X", asks who hosts, reads the read views, never a table (tokens are in them)
--   steward_events  with steward_app: works on the queue of events where the queue is on Postgres (queues/postgres-backend.ts)
-- Where the migrating login may not create roles, an administrator makes them first (docs/contracts/triggers.md);
-- a role that does not exist is left out, and the next migrate grants to it.
do $roles$
declare
  wanted text;
  schema_app constant text := 'steward_app';
begin
  foreach wanted in array array['steward_owner', 'steward_worker', 'steward_app', 'steward_events'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin', wanted);
      exception
        -- Roles belong to the whole server: another database may be migrated at the same instant.
        when insufficient_privilege or duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;

  -- PUBLIC may execute every new function; here that would be every role of the server.
  execute 'revoke all on all functions in schema steward from public';
  execute 'revoke all on schema steward from public';
  -- Pure functions, and the index on members calls them: whoever writes a member must be able to.
  execute 'grant execute on function steward.address_key(text), steward.address_key_unicode(text) to public';

  if exists (select from pg_roles where rolname = 'steward_worker') then
    execute 'grant usage on schema steward, steward_migrations to steward_worker';
    execute 'grant select, insert, update, delete on all tables in schema steward to steward_worker';
    execute 'grant usage, select on all sequences in schema steward to steward_worker';
    execute 'grant execute on all functions in schema steward to steward_worker';
    execute 'grant select on all tables in schema steward_migrations to steward_worker';
    if to_regnamespace(schema_app) is not null then
      begin
        execute format('grant usage on schema %I to steward_worker', schema_app);
        execute format('grant select on all tables in schema %I to steward_worker', schema_app);
        execute format('grant insert, update, delete on %I.locations to steward_worker', schema_app);
        execute format('grant update (locations) on %I.event_types to steward_worker', schema_app);
        execute format('grant update (detached_at) on %I.bookings to steward_worker', schema_app);
      exception
        -- The main app's relations belong to somebody else, or only one of the two kinds of locations exists.
        when insufficient_privilege or undefined_table or undefined_column then
          raise notice 'steward: rights of steward_worker on schema % are for its owner to grant; docs/contracts/triggers.md has the statements', schema_app;
      end;
    end if;
  end if;

  if exists (select from pg_roles where rolname = 'steward_app') then
    execute 'grant usage on schema steward to steward_app';
    execute 'grant execute on function steward.changed(text, uuid) to steward_app';
    -- Read views begin with read_; everything else stays closed.
    execute coalesce((
      select 'grant select on ' || string_agg(format('%I.%I', n.nspname, c.relname), ', ') || ' to steward_app'
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'steward' and c.relkind = 'v' and c.relname like 'read\_%'), 'select 1');
    -- Whatever it may call runs as its owner and is named here; being security definer is not enough.
    execute coalesce((
      select 'grant execute on function ' || string_agg(p.oid::regprocedure::text, ', ') || ' to steward_app'
        from pg_proc p
       where p.pronamespace = 'steward'::regnamespace and p.prosecdef
         and (p.proname in ('resolve_member', 'event_type_hosting', 'events_taken') or p.proname like 'read\_%')), 'select 1');
  end if;
end $roles$;
