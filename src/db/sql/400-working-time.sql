-- The first moment not before `at` that lies in working hours (Monday to Friday, 9 to 17) of a time zone: a deadline
-- never ends while nobody of the organization is there to see it. An unknown zone counts as UTC.
create or replace function steward.working_time_from(at timestamptz, zone text) returns timestamptz
language plpgsql stable parallel safe as $$
declare
  known text := zone;
  there timestamp;
begin
  begin
    there := at at time zone known;
  exception when invalid_parameter_value then
    known := 'UTC';
    there := at at time zone known;
  end;
  if there::time >= '17:00' then
    there := there::date + 1 + time '09:00';
  elsif there::time < '09:00' then
    there := there::date + time '09:00';
  end if;
  if extract(isodow from there) >= 6 then
    there := there::date + (8 - extract(isodow from there)::int) + time '09:00';
  end if;
  return there at time zone known;
end $$;
