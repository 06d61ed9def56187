import { createAnnouncements } from './announcements.ts';
import { createCalls } from './calls.ts';
import { createConnection } from './connection.ts';
import { createEquivalences } from './equal-domains.ts';
import { createEvents } from './events.ts';
import { createMappings } from './mappings.ts';
import type { CredentialsRequest, CredentialsTarget, MeetingCredentials } from './meeting-credentials.ts';
import { createMeetings } from './meetings.ts';
import { createOneTimeRuns } from './one-time-runs.ts';
import { createPersonal } from './personal.ts';
import { createSettings } from './settings.ts';
import { type Queryable, query } from './sql.ts';
import { useCredentials, type Zoom } from './with-zoom.ts';

export type { ActingMember } from './calls.ts';
export { claimLifetimeSeconds, signMemberClaim } from './claim.ts';
export type { ConnectLink, DisconnectPreview } from './connection.ts';
export type {
  DomainEquivalence,
  DomainPair,
  EquivalenceRequest,
  EquivalenceSummary,
  MappingSuggestions,
} from './equal-domains.ts';
export type { EventBatch, StewardEvent, StewardEventType } from './events.ts';
export { eventQueueName, eventTypes, parseEventBatch } from './events.ts';
export { MeetingRefusedError, StewardRequestError } from './http.ts';
export type { Mapping, MappingSummary, MappingWishes } from './mappings.ts';
export type { CredentialsRequest, CredentialsTarget, MeetingCredentials } from './meeting-credentials.ts';
export { type MeetingRefusal, type MeetingRefusalCode, type MendedBy, meetingRefusals } from './meeting-refusals.ts';
export type { Meeting, MeetingRequest } from './meetings.ts';
export type { OneTimeRun, OneTimeRunOrdered, OneTimeRunPreview } from './one-time-runs.ts';
export type { PersonalZoom } from './personal.ts';
export type { OrganizationSettings } from './settings.ts';
export type { KyselyQueryable, PgQueryable, Queryable } from './sql.ts';
export { type Zoom, ZoomTokenRefused } from './with-zoom.ts';

export type StewardOptions = {
  /** the main app's connection to the shared database, with the role steward_app */
  readonly db: Queryable;
  /** base URL of the server process, needed for commands and meetings */
  readonly url?: string;
  /** service key made for the main app */
  readonly serviceKey?: string;
  /** how long a call may take, ms (default: 30,000) */
  readonly timeoutMs?: number;
  /** secret with which member claims are signed; needed for what members do */
  readonly claimSecret?: string;
  /** W3C traceparent of what is under way, if the main app traces: announcements carry it to the job they begin */
  readonly traceparent?: () => string | undefined;
};

export type MemberZoom = {
  readonly memberId: string;
  readonly organizationId: string;
  readonly effective: 'personal' | 'organization' | 'none';
  /** the rule that decided, e.g. organization, opted_out, personal_broken */
  readonly reason: string;
  /** can_host, or why not */
  readonly hosting: string;
  readonly zoomUserId: string | null;
  readonly connectionId: string | null;
  /** hosts as a basic Zoom user: meetings end after 40 minutes */
  readonly basicPlan: boolean;
  readonly sharedHost: boolean;
};

/**
 * What the main app imports. Announcements run in the transaction that changes the data, reads go to SQL,
 * commands and meetings go to the server process. No token ever comes back.
 */
export function createSteward(options: StewardOptions) {
  const calls = createCalls(options);
  const credentials = (input: CredentialsRequest): Promise<MeetingCredentials> =>
    calls.request({ method: 'POST', path: '/v1/meeting-credentials', body: input });
  return {
    ...createAnnouncements(options.traceparent),

    /** Who serves a member and whether they can host, from the facts of this moment; undefined if there is no such member. */
    async resolve(memberId: string): Promise<MemberZoom | undefined> {
      const rows = await query<MemberZoom>(
        options.db,
        `select member_id as "memberId", organization_id as "organizationId", effective, reason, hosting,
                zoom_user_id as "zoomUserId", connection_id as "connectionId", basic_plan as "basicPlan", via_shared_host as "sharedHost"
           from steward.resolve_member($1) where organization_id is not null`,
        [memberId],
      );
      return rows[0];
    },

    /** Per host of an event type: who can host now, and why not. */
    async hosting({
      eventTypeId,
    }: {
      eventTypeId: string;
    }): Promise<{ memberId: string; hosting: string; effective: string }[]> {
      return query(
        options.db,
        `select member_id as "memberId", hosting, effective from steward.event_type_hosting($1)`,
        [eventTypeId],
      );
    },

    ...createConnection(calls),
    personal: createPersonal(calls),
    mappings: createMappings(calls),
    equivalences: createEquivalences(calls),
    settings: createSettings(calls),
    meetings: createMeetings(calls),

    /** Zoom for the event types that were there before the setting for new ones: previewed, ordered, undone. */
    oneTimeRuns: createOneTimeRuns(calls),

    /** What the main app is told: read by cursor, or worked on from the queue; docs/contracts/events.md. */
    events: createEvents(options.db),

    /** An access token to call Zoom with; its service key needs `credentials:raw`. Prefer `meetings`, or `withZoom`. */
    meetingCredentials: credentials,

    /**
     * Runs a function with credentials for a member, for an event type with one host, or for a meeting made here – once
     * more with a newer token if it throws Zoom's 124. Needs `credentials:raw`.
     */
    withZoom: <T>(target: CredentialsTarget, work: (zoom: Zoom) => Promise<T>): Promise<T> =>
      useCredentials(
        (refused) =>
          credentials({
            ...('meetingRef' in target ? { purpose: 'manage', ...target } : { purpose: 'create', ...target }),
            ...(refused === undefined ? {} : { refusedFingerprint: refused }),
          }),
        work,
      ),
  };
}

export type Steward = ReturnType<typeof createSteward>;
