/** The connection that serves a member. */
export type Effective = 'personal' | 'organization' | 'none';

/** The rule of behaviour §4 that decided, in the order they are asked. */
export type Reason =
  | 'member_inactive'
  | 'personal'
  | 'organization'
  | 'personal_broken_organization'
  | 'personal_broken'
  | 'opted_out'
  | 'not_in_rollout'
  | 'organization_disconnected'
  | 'personal_disconnected'
  | 'never_connected';

/** Whether a member can host through the connection that serves them now, or why not. */
export type Hosting =
  | 'can_host'
  | 'no_connection'
  | 'interrupted'
  | 'no_zoom_user'
  | 'email_not_verified'
  | 'ambiguous_match'
  | 'checking'
  | 'zoom_user_pending'
  | 'zoom_user_inactive'
  | 'no_meeting_licence';

/** A result as stored and as shown: before, after. */
export type MemberResult = { readonly effective: Effective; readonly reason: Reason; readonly hosting: Hosting };
