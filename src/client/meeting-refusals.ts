/** Who can mend a refusal. `main_app`: whoever programs it; `time`: nobody has to do anything. */
export type MendedBy = 'member' | 'owner' | 'zoom_admin' | 'operator' | 'main_app' | 'time';

/** What a refusal means, for whom. The texts are for people; translate them by the code. */
export type MeetingRefusal = {
  /** HTTP status of the API's answer */
  readonly status: number;
  /** whether asking the same again soon can help; where the answer names a time, after it */
  readonly retryable: boolean;
  readonly mendedBy: MendedBy;
  /** for whoever reads the main app's log */
  readonly message: string;
  /** for the member who hosts */
  readonly toHost: string;
  /** for the person who books: says nothing about anybody's account */
  readonly toInvitee: string;
};

const linkFollows = 'Your booking stands. The video link will follow.';
const notByVideo = 'Zoom is not available for this meeting. Please choose another location.';
const tryAgain = 'The video link could not be made just now. Please try again in a moment.';

/**
 * Why a meeting could not be made, changed or given credentials for (behaviour §8): every refusal of those calls is
 * one of these. The server answers from this table, docs/meetings.md is generated from it, and the client's types are
 * its keys.
 */
export const meetingRefusals = {
  no_connection: {
    status: 409,
    retryable: false,
    mendedBy: 'owner',
    message: 'Neither the organization nor the member has a Zoom connection that serves here',
    toHost: 'Zoom is not connected. Connect your own, or ask an owner of your organization to connect it.',
    toInvitee: notByVideo,
  },
  no_zoom_user: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'The member has no Zoom user in the organization’s Zoom account',
    toHost: 'You have no user in your organization’s Zoom. Ask your Zoom admin to add you.',
    toInvitee: notByVideo,
  },
  zoom_user_pending: {
    status: 409,
    retryable: false,
    mendedBy: 'member',
    message: 'The member’s Zoom invitation was not accepted yet',
    toHost: 'Accept the invitation to your organization’s Zoom that you got by e-mail.',
    toInvitee: notByVideo,
  },
  zoom_user_inactive: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'The member’s Zoom user is deactivated',
    toHost: 'Your Zoom user is deactivated. Ask your Zoom admin to activate it.',
    toInvitee: notByVideo,
  },
  no_meeting_licence: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'The member’s Zoom user has no licence to host meetings',
    toHost: 'Your Zoom user may not host meetings. Ask your Zoom admin for a licence.',
    toInvitee: notByVideo,
  },
  email_not_verified: {
    status: 409,
    retryable: false,
    mendedBy: 'member',
    message: 'The member’s e-mail address is not verified, so no Zoom user is matched',
    toHost: 'Verify your e-mail address, so that your Zoom user can be found.',
    toInvitee: notByVideo,
  },
  ambiguous_match: {
    status: 409,
    retryable: false,
    mendedBy: 'owner',
    message: 'More than one member or Zoom user has this address; map the member to a Zoom user',
    toHost: 'More than one Zoom user fits your address. Ask an owner of your organization to choose yours.',
    toInvitee: notByVideo,
  },
  checking: {
    status: 409,
    retryable: true,
    mendedBy: 'time',
    message: 'The member’s Zoom user is being looked up; try again in a few seconds',
    toHost: 'Your Zoom user is being looked up. This takes a few seconds.',
    toInvitee: tryAgain,
  },
  cannot_host: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'Zoom says that this user cannot host, although its directory says otherwise; asked again in five minutes',
    toHost: 'Zoom does not let your user host meetings. Ask your Zoom admin to look at it.',
    toInvitee: notByVideo,
  },
  interrupted: {
    status: 409,
    retryable: true,
    mendedBy: 'zoom_admin',
    message: 'The Zoom connection is interrupted; a Zoom admin can reconnect it',
    toHost: 'Zoom is interrupted and has to be connected again. New bookings get their link afterwards.',
    toInvitee: linkFollows,
  },
  use_your_own: {
    status: 409,
    retryable: false,
    mendedBy: 'main_app',
    message: 'The member’s personal Zoom is kept by the main app; call Zoom with its token there',
    toHost: 'Your own Zoom is used.',
    toInvitee: tryAgain,
  },
  choose_host: {
    status: 409,
    retryable: false,
    mendedBy: 'main_app',
    message: 'This event type has several hosts, or none; name the member who hosts',
    toHost: 'Choose who hosts.',
    toInvitee: tryAgain,
  },
  detached: {
    status: 410,
    retryable: false,
    mendedBy: 'member',
    message: 'The connection that made this meeting is gone; it can no longer be changed here',
    toHost: 'This meeting can only be changed at Zoom itself. Its link still works.',
    toInvitee: 'The video link of this meeting stays as it is.',
  },
  unknown_member: {
    status: 404,
    retryable: false,
    mendedBy: 'main_app',
    message: 'Expected a member of this organization; check the id',
    toHost: 'Zoom could not be used for this meeting.',
    toInvitee: notByVideo,
  },
  unknown_meeting: {
    status: 404,
    retryable: false,
    mendedBy: 'main_app',
    message: 'Expected the meetingRef of a meeting that still exists',
    toHost: 'This meeting no longer exists at Zoom.',
    toInvitee: 'This meeting no longer exists at Zoom.',
  },
  host_daily_limit: {
    status: 429,
    retryable: false,
    mendedBy: 'time',
    message: 'Zoom lets a host make or change 100 meetings a day; this one has, until 00:00 UTC',
    toHost: 'Zoom’s limit of 100 meetings made or changed in a day is reached. It ends at 00:00 UTC.',
    toInvitee: linkFollows,
  },
  quota_exceeded: {
    status: 429,
    retryable: true,
    mendedBy: 'operator',
    message: 'Too many meeting calls in this minute for the service key or the organization',
    toHost: 'Too many meetings at once. Please try again in a minute.',
    toInvitee: tryAgain,
  },
  in_progress: {
    status: 409,
    retryable: true,
    mendedBy: 'time',
    message: 'A request with this idempotency key is under way; ask again to get its meeting',
    toHost: 'The meeting is being made.',
    toInvitee: tryAgain,
  },
  key_reused: {
    status: 422,
    retryable: false,
    mendedBy: 'main_app',
    message: 'This idempotency key was used for another meeting within 24 hours; use one a booking',
    toHost: 'Zoom could not be used for this meeting.',
    toInvitee: tryAgain,
  },
  outcome_unknown: {
    status: 504,
    retryable: false,
    mendedBy: 'main_app',
    message:
      'The request reached Zoom and its answer did not reach us: the meeting may exist. Asking with the same idempotency key makes no second one; a new key accepts that there may be two',
    toHost: 'Zoom did not confirm the meeting. It may stand in your Zoom calendar without this booking.',
    toInvitee: linkFollows,
  },
  refused_by_zoom: {
    status: 422,
    retryable: false,
    mendedBy: 'main_app',
    message: 'Zoom refused this request for a reason that asking again does not mend; zoomCode has its number',
    toHost: 'Zoom did not accept this meeting.',
    toInvitee: notByVideo,
  },
  temporarily_unavailable: {
    status: 503,
    retryable: true,
    mendedBy: 'time',
    message: 'Zoom cannot be asked just now; try again shortly',
    toHost: 'Zoom does not answer at the moment. Please try again shortly.',
    toInvitee: tryAgain,
  },
} as const satisfies Record<string, MeetingRefusal>;

/** Code of a refusal. */
export type MeetingRefusalCode = keyof typeof meetingRefusals;

/** Whether a code is one of the table: a newer server may know more. */
export const isMeetingRefusal = (code: string): code is MeetingRefusalCode => Object.hasOwn(meetingRefusals, code);
