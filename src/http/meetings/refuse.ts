import { type MeetingRefusalCode, meetingRefusals } from '../../client/meeting-refusals.ts';
import { ApiError } from '../api-error.ts';

/** The refusal as the API answers it; `retryAfterSeconds` among the details also becomes the header Retry-After. */
export function refuseMeeting(code: MeetingRefusalCode, details: Record<string, unknown> = {}): ApiError {
  const { status, retryable, mendedBy, message, toHost, toInvitee } = meetingRefusals[code];
  return new ApiError(status, code, message, { retryable, details: { mendedBy, toHost, toInvitee, ...details } });
}

/** Whole seconds, at least one, for `retryAfterSeconds`. */
export const inSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1_000));
