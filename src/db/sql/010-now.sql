-- The one clock of the worker: every deadline is computed and compared here. Statement time,
-- plus an offset that is zero in production and moved by demo and tests.
create or replace function steward.now() returns timestamptz
language sql stable parallel safe
return statement_timestamp() + (select offset_by from steward.clock);
