import type { ActingMember, Calls } from './calls.ts';
import type { ConnectLink } from './connection.ts';

/** A member's own Zoom; zoomUserEmail only where the worker keeps it. */
export type PersonalZoom = {
  readonly kind: 'managed' | 'external' | 'none';
  readonly state: 'none' | 'connecting' | 'active' | 'suspect' | 'broken' | 'connected' | 'disconnected';
  /** a consent under way; asking: the member must still say that the Zoom user is theirs */
  readonly consent: 'started' | 'asking' | null;
  readonly zoomAccountId: string | null;
  readonly zoomUserId: string | null;
  readonly zoomUserEmail: string | null;
};

const pathOf = (memberId: string, what: string): string => `members/${encodeURIComponent(memberId)}/${what}`;

/** The client's `personal`. */
export const createPersonal = (calls: Calls) => ({
  /** A member's own Zoom, managed by the worker or kept by the main app. */
  get: ({ organizationId, memberId }: { organizationId: string; memberId: string }): Promise<PersonalZoom> =>
    calls.get(organizationId, pathOf(memberId, 'personal-connection')),
  /** Where to send the member's browser to connect a Zoom of their own; good for an hour. */
  requestConsent: ({ by }: { by: ActingMember }): Promise<ConnectLink> =>
    calls.as(by, pathOf(by.memberId, 'personal-consents'), {}),
  /** The member ends it; the organization's takes over by itself. Ending it again is no error. */
  disconnect: ({ by }: { by: ActingMember }): Promise<PersonalZoom> =>
    calls.as(by, pathOf(by.memberId, 'personal-connection'), undefined, 'DELETE'),
});
