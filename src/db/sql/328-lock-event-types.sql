-- Waits for edits under way on these event types, and keeps new ones waiting until the transaction ends. Gives what they say
-- of who serves them, as it is with the lock: side by side, in the order of ids. Not "for update": that would also stop
-- bookings that refer to an event type.
create or replace function steward.lock_event_types(organization uuid, event_types uuid[], out ids uuid[], out kinds text[], out owners uuid[])
language plpgsql volatile
-- By keys, however many: no other plan could be right. Planned for these keys: a plan made once takes this organization for
-- an average one, and where most are tiny it would read all of a large one and compare each row with the whole list.
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  select array_agg(k.id), array_agg(k.kind), array_agg(k.host_member_id) into ids, kinds, owners
    from (select e.id, e.kind, e.host_member_id from steward_app.event_types e
           where (e.organization_id = organization) is true and e.id = any((select event_types)::uuid[])
           order by e.id for no key update) k;
  -- Of a table the lock waits for the row and gives it as it is then. What a view puts together from other tables it gives as it
  -- was before the wait.
  if exists (select from pg_class c where c.oid = 'steward_app.event_types'::regclass and c.relkind = 'v') then
    select array_agg(e.id order by e.id), array_agg(e.kind order by e.id), array_agg(e.host_member_id order by e.id) into ids, kinds, owners
      from steward_app.event_types e where e.organization_id = organization and e.id = any(event_types);
  end if;
end $$;
