import type { Calls } from './calls.ts';

export type MeetingRequest = {
  readonly organizationId: string;
  /** member who hosts */
  readonly memberId: string;
  readonly topic: string;
  /** ISO 8601 with offset */
  readonly startsAt: string;
  readonly durationMinutes: number;
  /** IANA time zone shown at Zoom */
  readonly timeZone?: string;
  readonly agenda?: string;
  /**
   * your name for this booking, e.g. its id: asking again with it within 24 hours gives the same meeting. Left out, one
   * is made for the call; the error of a call that got no answer has it in `details`
   */
  readonly idempotencyKey?: string;
};

export type Meeting = {
  /** store it with the booking: changes need it */
  readonly meetingRef: string;
  readonly connectionId: string;
  readonly connectionKind: 'organization' | 'personal';
  readonly zoomAccountId: string;
  /** Zoom user who hosts */
  readonly zoomUserId: string;
  readonly zoomMeetingId: string;
  readonly joinUrl: string;
  /** the host's Zoom plan ends meetings after 40 minutes */
  readonly basicPlan: boolean;
};

/** The client's `meetings`. */
export const createMeetings = ({ request }: Calls) => ({
  /** Makes a meeting with the host that the rule gives; refused as MeetingRefusedError. */
  create: ({ idempotencyKey, ...body }: MeetingRequest): Promise<Meeting> =>
    request({
      method: 'POST',
      path: '/v1/meetings',
      body,
      idempotencyKey: {
        key: idempotencyKey ?? globalThis.crypto.randomUUID(),
        mayDiffer: idempotencyKey === undefined,
      },
    }),
  /** Changes a meeting through the connection that made it. */
  update: (
    input: { meetingRef: string } & Partial<
      Pick<MeetingRequest, 'topic' | 'startsAt' | 'durationMinutes' | 'timeZone' | 'agenda'>
    >,
  ): Promise<{ meetingRef: string }> => {
    const { meetingRef, ...changes } = input;
    return request({ method: 'PATCH', path: `/v1/meetings/${encodeURIComponent(meetingRef)}`, body: changes });
  },
  /** Deletes a meeting through the connection that made it; deleting it again is no error. */
  delete: (input: { meetingRef: string }): Promise<{ meetingRef: string }> =>
    request({ method: 'DELETE', path: `/v1/meetings/${encodeURIComponent(input.meetingRef)}` }),
});
