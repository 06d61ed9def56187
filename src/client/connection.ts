import type { ActingMember, Calls } from './calls.ts';

export type ConnectLink = { readonly id: string; readonly url: string; readonly expiresAt: string };

/** What a disconnect would do; the generation confirms that nothing changed since. */
export type DisconnectPreview = {
  readonly generation: number;
  readonly membersLosingHosting: number;
  readonly membersKeepingPersonal: number;
  readonly locationsRemoved: { readonly eventTypes: number; readonly locations: number };
  readonly eventTypesWithoutLocation: { readonly eventTypes: number };
  readonly roundRobinLosingHosts: { readonly eventTypes: number };
  readonly bookingsDetached: number;
};

/** What the client has for the organization's connection. */
export const createConnection = (calls: Calls) => ({
  /** A link for a Zoom admin; `by` must be an owner or admin. */
  requestConnectLink: (input: { by: ActingMember }): Promise<ConnectLink> => calls.as(input.by, 'connect-links', {}),

  /** State of the organization's connection and, if one waits, the candidate to confirm. */
  connection: (input: { organizationId: string }): Promise<Record<string, unknown>> =>
    calls.get(input.organizationId, 'connection'),

  /** An owner or admin says: yes, this Zoom is ours. */
  confirmConnection: (input: { by: ActingMember; candidateId: string }): Promise<{ state: string }> =>
    calls.as(input.by, 'connection/confirm', { candidateId: input.candidateId }),

  /** What a disconnect would do, without doing anything. */
  preview: (input: { organizationId: string }): Promise<DisconnectPreview> =>
    calls.get(input.organizationId, 'connection/disconnect-preview'),

  /** Disconnects, with the preview's generation and the organization's name typed; refused as stale_preview otherwise. */
  disconnect: (input: { by: ActingMember; generation: number; organizationName: string }): Promise<{ runId: string }> =>
    calls.as(input.by, 'connection/disconnect', {
      generation: input.generation,
      organizationName: input.organizationName,
    }),

  /** Takes the offer to restore what the last disconnect removed. */
  restore: (input: { by: ActingMember }): Promise<{ runId: string }> => calls.as(input.by, 'connection/restore', {}),

  /** A look at Zoom now, at most once a minute; what follows is in the connection. */
  verifyNow: (input: { by: ActingMember }): Promise<{ connectionId: string }> =>
    calls.as(input.by, 'connection/verify', {}),

  /** Lets the deadline of an interrupted connection end so many days later. */
  extendDeadline: (input: { by: ActingMember; days: number }): Promise<{ deadlineAt: string }> =>
    calls.as(input.by, 'connection/deadline', { days: input.days }),
});
