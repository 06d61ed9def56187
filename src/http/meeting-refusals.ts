import { ApiError } from './api-error.ts';

type Refusal = {
  readonly status: number;
  readonly retryable: boolean;
  /** who can mend it */
  readonly mendedBy: 'member' | 'owner' | 'zoom_admin' | 'operator' | 'time';
  readonly message: string;
};

/** Why a meeting could not be made or changed (behaviour §8): every refusal is one of these. */
export const meetingRefusals = {
  unknown_member: {
    status: 404,
    retryable: false,
    mendedBy: 'operator',
    message: 'Expected a member of this organization; check the id',
  },
  no_connection: {
    status: 409,
    retryable: false,
    mendedBy: 'owner',
    message: 'Neither the organization nor the member has a Zoom connection that serves here',
  },
  no_zoom_user: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'The member has no Zoom user in the organization’s Zoom account',
  },
  zoom_user_pending: {
    status: 409,
    retryable: false,
    mendedBy: 'member',
    message: 'The member’s Zoom invitation was not accepted yet',
  },
  zoom_user_inactive: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'The member’s Zoom user is deactivated',
  },
  no_meeting_licence: {
    status: 409,
    retryable: false,
    mendedBy: 'zoom_admin',
    message: 'The member’s Zoom user has no licence to host meetings',
  },
  email_not_verified: {
    status: 409,
    retryable: false,
    mendedBy: 'member',
    message: 'The member’s e-mail address is not verified, so no Zoom user is matched',
  },
  ambiguous_match: {
    status: 409,
    retryable: false,
    mendedBy: 'owner',
    message: 'More than one member or Zoom user has this address; map the member to a Zoom user',
  },
  checking: {
    status: 409,
    retryable: true,
    mendedBy: 'time',
    message: 'The member’s Zoom user is being looked up; try again in a few seconds',
  },
  interrupted: {
    status: 409,
    retryable: true,
    mendedBy: 'zoom_admin',
    message: 'The organization’s Zoom connection is interrupted; a Zoom admin can reconnect it',
  },
  use_your_own: {
    status: 409,
    retryable: false,
    mendedBy: 'member',
    message: 'The member’s personal Zoom is kept by the main app; call Zoom with its token there',
  },
  detached: {
    status: 410,
    retryable: false,
    mendedBy: 'member',
    message: 'The connection that made this meeting is gone; it can no longer be changed here',
  },
  unknown_meeting: {
    status: 404,
    retryable: false,
    mendedBy: 'operator',
    message: 'Expected a meetingRef that meetings.create returned',
  },
  host_daily_limit: {
    status: 429,
    retryable: false,
    mendedBy: 'time',
    message: 'Zoom lets a host make 100 meetings a day; this one has, until 00:00 UTC',
  },
  temporarily_unavailable: {
    status: 503,
    retryable: true,
    mendedBy: 'time',
    message: 'Zoom cannot be asked just now; try again shortly',
  },
} as const satisfies Record<string, Refusal>;

export type MeetingRefusal = keyof typeof meetingRefusals;

/** The refusal as the API answers it. */
export function refuseMeeting(code: MeetingRefusal, details: Record<string, unknown> = {}): ApiError {
  const { status, retryable, mendedBy, message } = meetingRefusals[code];
  return new ApiError(status, code, message, { retryable, details: { mendedBy, ...details } });
}
