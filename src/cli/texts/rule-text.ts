/** Reasons of the rule (behaviour §4), each as the sentence that explains it to a person. */
export const reasonText: Readonly<Record<string, string>> = {
  member_inactive: 'rule 0: not an active member of the organization, so nothing serves them',
  personal: 'rule 1: their personal Zoom is usable, and a personal connection is never overridden',
  organization: "rule 2: the organization's connection is on, they are in its rollout and did not opt out",
  personal_broken_organization:
    "rule 2: their personal Zoom is broken, and the organization's connection serves meanwhile",
  personal_broken:
    'rule 3: their personal Zoom is broken and nothing else serves; locations are kept, as in an interruption',
  opted_out: "rule 4: the organization's connection is on, but they opted out and the organization allows it",
  not_in_rollout: "rule 4: the organization's connection is on, but its rollout does not include them",
  organization_disconnected: "rule 4: the organization's Zoom was disconnected",
  personal_disconnected: 'rule 4: they disconnected their personal Zoom, and nothing else serves',
  never_connected: 'rule 4: nobody ever connected a Zoom for them',
};

/** Answers about hosting, with who mends it. */
export const hostingText: Readonly<Record<string, string>> = {
  can_host: 'can host',
  no_zoom_user:
    'cannot host: the Zoom account has no user with their verified address; the Zoom admin adds one, or an owner maps them',
  zoom_user_pending: 'cannot host: their Zoom user has not accepted the invitation yet; they open the e-mail from Zoom',
  zoom_user_inactive: 'cannot host: their Zoom user is deactivated; the Zoom admin activates it',
  no_meeting_licence: 'cannot host: their Zoom user has no meeting licence; the Zoom admin assigns one',
  email_not_verified:
    'cannot host: their address is not verified in the product; they verify it, or an owner maps them',
  ambiguous_match: 'cannot host: two members or two Zoom users have this address; an owner maps them',
  checking: 'not known yet: Zoom has not been asked about this address; normally within 5 seconds while a worker runs',
  interrupted: "cannot host now: the organization's Zoom is interrupted; any of its Zoom admins reconnects",
  no_connection: 'cannot host: no connection serves them',
};
