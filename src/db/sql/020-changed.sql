-- "Look at X": called by the main app in the transaction that changed X, from any language.
-- subject is member, event_type or organization; anything else is refused and nothing is written.
create or replace function steward.changed(subject text, id uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Who traces says in its transaction: select set_config('steward.traceparent', '00-…', true). Anything else is ignored.
  parent constant text := current_setting('steward.traceparent', true);
  trace constant jsonb := case when parent ~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
                               then jsonb_build_object('traceparent', parent) end;
begin
  if id is null then
    raise exception 'steward.changed: expected the id of a %, got null; pass the id of the row that changed', subject
      using errcode = '22004';
  end if;
  case subject
    when 'member' then
      insert into steward.outbox (job, key, payload, trace, created_at, available_at)
      values ('reconcile-member', id::text, jsonb_build_object('memberId', id), trace, steward.now(), steward.now());
    when 'event_type' then
      insert into steward.outbox (job, key, payload, trace, created_at, available_at)
      values ('reconcile-event-type', id::text, jsonb_build_object('eventTypeId', id), trace, steward.now(), steward.now());
    when 'organization' then
      insert into steward.outbox (job, key, payload, trace, created_at, available_at)
      values ('reconcile-organization', id::text, jsonb_build_object('organizationId', id), trace, steward.now(), steward.now());
    else
      raise exception 'steward.changed: expected member, event_type or organization, got %; see docs/contracts/triggers.md', subject
        using errcode = '22023';
  end case;
  perform pg_catalog.pg_notify('steward_outbox', '');
end $$;
