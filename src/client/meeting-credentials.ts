/**
 * For what credentials are: something new for a member, or for an event type with one host; or a meeting that was made
 * through the worker.
 */
export type CredentialsTarget =
  | { readonly organizationId: string; readonly memberId: string }
  | { readonly organizationId: string; readonly eventTypeId: string }
  | { readonly meetingRef: string };

/** The same, with why: create something new, or manage what was made. */
export type CredentialsRequest = (
  | { readonly purpose: 'create'; readonly organizationId: string; readonly memberId: string }
  | { readonly purpose: 'create'; readonly organizationId: string; readonly eventTypeId: string }
  | { readonly purpose: 'manage'; readonly meetingRef: string }
) & {
  /** fingerprint of the token that Zoom refused (124): a newer one is wanted */
  readonly refusedFingerprint?: string;
};

/** As powerful as the authorizing Zoom user within the app's scopes. Keep it in memory, for one call. */
export type MeetingCredentials = {
  readonly accessToken: string;
  /** names the token: say it when Zoom refused that one */
  readonly fingerprint: string;
  /** upper bound, at most ten minutes from now: Zoom may end it sooner */
  readonly expiresAt: string;
  /** e.g. https://api.zoom.us */
  readonly apiBase: string;
  readonly connectionId: string;
  readonly connectionKind: 'organization' | 'personal';
  readonly zoomAccountId: string;
  /** Zoom user to host with */
  readonly zoomUserId: string;
  /** for `manage`: the meeting at Zoom */
  readonly zoomMeetingId: string | null;
  readonly memberId: string;
  /** meetings end after 40 minutes */
  readonly basicPlan: boolean;
  /** to be sent with every new meeting: the organization's settings */
  readonly meetingDefaults: { readonly settings?: { readonly auto_start_meeting_summary: true } };
};
