-- The rules of behaviour §4 about one member, one scalar function a question. Immutable and of one expression, so
-- that the planner inlines them into whatever asks; docs/reconciliation.md shows how a test proves that.

-- A member's own Zoom, from the managed connection (with the state of its grant) and the external one the main app
-- shows. One usable is enough; broken goes before disconnected; a consent under way is nothing yet.
create or replace function steward.rule_personal(managed text, grant_state text, external text) returns text
language sql immutable parallel safe
return case
  when managed in ('active', 'suspect') and coalesce(grant_state not in ('dead', 'retiring', 'gone'), true) or external = 'connected' then 'usable'
  when managed in ('active', 'suspect', 'broken') or external = 'broken' then 'broken'
  when managed = 'disconnected' or external = 'disconnected' then 'disconnected'
  else 'none'
end;

-- How a member's Zoom user is found, or why not; the first that holds. `held`: an earlier match by e-mail still stands.
-- `twice`, `shared`: two Zoom users, or another member, have this address. Each argument is used once, so that a
-- look-up handed in is made only where what goes before it did not decide.
create or replace function steward.rule_match(mapped boolean, held boolean, address_key text, twice boolean, shared boolean,
                                              found boolean, walked_since boolean, looked_up boolean) returns text
language sql immutable parallel safe
return case
  when mapped then 'mapping'
  when held then 'email'
  when address_key is null then 'not_verified'
  when twice or shared then 'ambiguous'
  when found then 'email'
  when walked_since or looked_up then 'none'
  else 'checking'
end;

-- Since when the address is known here: remembered with an equal key, else as old as this look; without a stored row as
-- old as the member row's last change. The app's clock is the database's; ours may be offset from it (demo, tests).
create or replace function steward.rule_address_since(address_key text, stored boolean, stored_key text, stored_since timestamptz,
                                                      clock timestamptz, row_changed timestamptz, clock_offset interval) returns timestamptz
language sql stable parallel safe
return case
  when address_key is null then null
  when stored_key = address_key then stored_since
  when stored then clock
  else row_changed + clock_offset
end;

-- Which rule decides who serves a member; the first that holds.
create or replace function steward.rule_reason(active boolean, personal text, org_state text, ever_disconnected boolean,
                                               in_rollout boolean, opted_out_counts boolean) returns text
language sql immutable parallel safe
return case
  when not active then 'member_inactive'
  when personal = 'usable' then 'personal'
  when org_state in ('active', 'interrupted') and in_rollout and not opted_out_counts
    then case when personal = 'broken' then 'personal_broken_organization' else 'organization' end
  when personal = 'broken' then 'personal_broken'
  when org_state in ('active', 'interrupted') and opted_out_counts then 'opted_out'
  when org_state in ('active', 'interrupted') then 'not_in_rollout'
  when org_state = 'disconnecting' or org_state in ('none', 'pending') and ever_disconnected then 'organization_disconnected'
  when personal = 'disconnected' then 'personal_disconnected'
  else 'never_connected'
end;

-- The one connection that serves a member for that reason.
create or replace function steward.rule_effective(reason text) returns text
language sql immutable parallel safe
return case
  when reason = 'personal' then 'personal'
  when reason in ('organization', 'personal_broken_organization') then 'organization'
  else 'none'
end;

-- Whether the member can host through it now, or why not. A match that is still being looked for waits even where a
-- shared host exists: whoever has a Zoom user hosts as themselves.
create or replace function steward.rule_hosting(reason text, org_state text, match text, zoom_status text, zoom_type smallint,
                                                has_shared_host boolean) returns text
language sql immutable parallel safe
return case
  when reason = 'personal' then 'can_host'
  when reason not in ('organization', 'personal_broken_organization') then 'no_connection'
  when org_state = 'interrupted' then 'interrupted'
  when has_shared_host and match in ('none', 'not_verified', 'ambiguous') then 'can_host'
  when match = 'none' then 'no_zoom_user'
  when match = 'not_verified' then 'email_not_verified'
  when match = 'ambiguous' then 'ambiguous_match'
  when match = 'checking' then 'checking'
  when zoom_status = 'pending' then 'zoom_user_pending'
  when zoom_status = 'inactive' then 'zoom_user_inactive'
  when zoom_type in (1, 2) then 'can_host'
  else 'no_meeting_licence'
end;

-- Whether that is through the shared host.
create or replace function steward.rule_shared_host(reason text, hosting text, match text) returns boolean
language sql immutable parallel safe
return reason in ('organization', 'personal_broken_organization') and hosting = 'can_host' and match in ('none', 'not_verified', 'ambiguous');

-- Whether that is as a basic Zoom user, whose meetings end after 40 minutes.
create or replace function steward.rule_basic_plan(reason text, hosting text, match text, zoom_type smallint, shared_host_type smallint) returns boolean
language sql immutable parallel safe
return reason in ('organization', 'personal_broken_organization') and hosting = 'can_host'
   and coalesce(case when match in ('mapping', 'email') then zoom_type else shared_host_type end = 1, false);

-- The Zoom user the member hosts as through the organization; null where the member cannot, or uses their own.
create or replace function steward.rule_zoom_user(reason text, hosting text, match text, zoom_user_key text, shared_host text) returns text
language sql immutable parallel safe
return case when reason in ('organization', 'personal_broken_organization') and hosting = 'can_host'
  then case when match in ('mapping', 'email') then zoom_user_key else shared_host end end;
