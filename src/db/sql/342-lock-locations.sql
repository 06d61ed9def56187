-- Waits for edits under way on these event types, and keeps new ones waiting, as the adapter does it.
drop function if exists steward.lock_locations(uuid, text, uuid[]);
drop function if exists steward.lock_locations_json(uuid, uuid[]);
create or replace function steward.lock_locations(organization uuid, from_adapter text, event_types uuid[],
                                                 out ids uuid[], out kinds text[], out owners uuid[])
language plpgsql volatile as $$
begin
  if from_adapter = 'rows' then
    select l.ids, l.kinds, l.owners into ids, kinds, owners from steward.lock_locations_rows(organization, event_types) l;
  else
    select l.ids, l.kinds, l.owners into ids, kinds, owners from steward.lock_event_types(organization, event_types) l;
  end if;
end $$;
