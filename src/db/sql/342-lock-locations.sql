-- Waits for edits under way on these event types, and keeps new ones waiting, as the adapter does it.
create or replace function steward.lock_locations(organization uuid, from_adapter text, event_types uuid[]) returns void
language plpgsql volatile as $$
begin
  if from_adapter = 'rows' then
    perform steward.lock_locations_rows(organization, event_types);
  else
    perform steward.lock_locations_json(organization, event_types);
  end if;
end $$;
