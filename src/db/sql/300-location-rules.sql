-- The rules of behaviour §6 about locations, one scalar function a question.

-- Whether this reason of a server lets the Zoom locations they serve go. Only what a person decided,
-- or a deadline, does; anything else, also a reason nobody thought of, keeps them.
create or replace function steward.rule_takes_zoom(reason text) returns boolean
language sql immutable parallel safe
return coalesce(reason in ('member_inactive', 'opted_out', 'not_in_rollout', 'organization_disconnected', 'personal_disconnected'), false);

-- Which of several reasons an archive names: the smallest rank.
create or replace function steward.rule_cause_rank(reason text) returns integer
language sql immutable parallel safe
return case reason
  when 'organization_disconnected' then 1
  when 'member_inactive' then 2
  when 'opted_out' then 3
  when 'not_in_rollout' then 4
  when 'personal_disconnected' then 5
end;

-- The reason of a rank.
create or replace function steward.rule_cause(rank integer) returns text
language sql immutable parallel safe
return (array['organization_disconnected', 'member_inactive', 'opted_out', 'not_in_rollout', 'personal_disconnected'])[rank];

-- Whether what was removed for this cause waits for a person before it returns.
create or replace function steward.rule_offered(cause text, disconnect_cause text) returns boolean
language sql immutable parallel safe
return cause = 'personal_disconnected' or cause = 'organization_disconnected' and coalesce(disconnect_cause = 'person', false);

-- What a fallback setting is worth: a kind the main app knows, never Zoom itself; else null.
create or replace function steward.usable_fallback(setting jsonb) returns jsonb
language sql immutable parallel safe
return case when setting ->> 'kind' in ('google_conference', 'microsoft_teams_conference', 'webex_conference', 'gotomeeting_conference',
                                        'physical', 'inbound_call', 'outbound_call', 'ask_invitee', 'custom') then setting end;

-- One row's part of the fingerprint of an event type's other locations: everything a person can edit, and when it was.
-- Immutable, so that it is inlined: no text of a time, which would depend on the session. JSON text escapes the separator.
create or replace function steward.location_print(id uuid, place integer, kind text, details jsonb, updated_at timestamptz) returns text
language sql immutable parallel safe
return id::text || chr(31) || place::text || chr(31) || kind || chr(31) || coalesce(details::text, '') || chr(31)
       || coalesce(encode(timestamptz_send(updated_at), 'hex'), '');
