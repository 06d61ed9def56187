import { signMemberClaim } from './claim.ts';
import type {
  DomainEquivalence,
  DomainPair,
  EquivalenceRequest,
  EquivalenceSummary,
  MappingSuggestions,
} from './equal-domains.ts';
import { createEvents } from './events.ts';
import { createRequester } from './http.ts';
import type { CredentialsRequest, CredentialsTarget, MeetingCredentials } from './meeting-credentials.ts';
import { createOneTimeRuns } from './one-time-runs.ts';
import { type Queryable, query } from './sql.ts';
import { useCredentials, type Zoom } from './with-zoom.ts';

export { claimLifetimeSeconds, signMemberClaim } from './claim.ts';
export type * from './equal-domains.ts';
export type { EventBatch, StewardEvent, StewardEventType } from './events.ts';
export { eventQueueName, eventTypes, parseEventBatch } from './events.ts';
export { MeetingRefusedError, StewardRequestError } from './http.ts';
export type { CredentialsRequest, CredentialsTarget, MeetingCredentials } from './meeting-credentials.ts';
export { type MeetingRefusal, type MeetingRefusalCode, type MendedBy, meetingRefusals } from './meeting-refusals.ts';
export type { OneTimeRun, OneTimeRunOrdered, OneTimeRunPreview } from './one-time-runs.ts';
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

/** Member of the organization on whose behalf the main app acts: an owner or admin, except for what is a member's own. */
export type ActingMember = { readonly organizationId: string; readonly memberId: string };

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

/** Which member hosts as which Zoom user: a CSV text (docs/directory.md), or a list. Ids or e-mail addresses; null ends a mapping. */
export type MappingWishes =
  | { readonly csv: string }
  | { readonly entries: readonly { readonly member: string; readonly zoomUser: string | null }[] };

/** What wishes would do, or did. */
export type MappingSummary = {
  readonly new: number;
  readonly moved: number;
  readonly ended: number;
  readonly unchanged: number;
  /** lines without a Zoom user: left as they are */
  readonly blank: number;
  /** how often each problem occurs, e.g. unknown_member */
  readonly problems: Readonly<Record<string, number>>;
  readonly lines: readonly { readonly line: number; readonly problem: string }[];
  readonly ignoredColumns: readonly string[];
};

export type Mapping = {
  readonly memberId: string;
  readonly zoomUserId: string;
  /** person, or domain where it follows from two domains that mean the same people */
  readonly origin: 'person' | 'domain';
  readonly actor: string;
  /** ISO 8601 */
  readonly createdAt: string;
};

/** Settings of an organization: who is served, and what happens when. */
export type OrganizationSettings = {
  readonly allowOptOut: boolean;
  readonly zoomForNewEventTypes: boolean;
  readonly meetingSummary: boolean;
  readonly rollout: 'all' | 'groups' | 'domains';
  readonly rolloutGroups: readonly string[];
  readonly rolloutDomains: readonly string[];
  readonly fallbackLocation: { readonly kind: string; readonly details?: Readonly<Record<string, unknown>> } | null;
  /** Zoom user who hosts for members without one */
  readonly sharedHost: string | null;
  /** null: an interruption never ends in a disconnect */
  readonly reconnectDays: number | null;
  readonly archiveDays: number;
};

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

const organizationPath = (id: string): string => `/v1/organizations/${encodeURIComponent(id)}`;
const pageOf = ({ organizationId, after }: { organizationId: string; after?: string }, what: string): string =>
  `${organizationPath(organizationId)}/${what}${after === undefined ? '' : `?after=${encodeURIComponent(after)}`}`;
const personalPath = (who: ActingMember, what: string): string =>
  `${organizationPath(who.organizationId)}/members/${encodeURIComponent(who.memberId)}/${what}`;

/**
 * What the main app imports. Announcements run in the transaction that changes the data, reads go to SQL,
 * commands and meetings go to the server process. No token ever comes back.
 */
export function createSteward(options: StewardOptions) {
  const request =
    options.url && options.serviceKey
      ? createRequester({
          url: options.url,
          serviceKey: options.serviceKey,
          ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
        })
      : async () => {
          throw new Error(
            'createSteward: this call goes to the server process; expected url and serviceKey, got none; pass both',
          );
        };
  /** A request that a member makes: not configured means a promise that rejects, as every other failure does. */
  const requestAs = async <T>(
    who: ActingMember,
    path: string,
    body: unknown,
    method: 'POST' | 'PATCH' = 'POST',
  ): Promise<T> =>
    request({ method, path: `${organizationPath(who.organizationId)}/${path}`, body, claim: claim(who) });
  const claim = (who: ActingMember): string => {
    if (!options.claimSecret) {
      throw new Error(
        'createSteward: acting for a member needs claimSecret; pass the secret that the server knows as STEWARD_CLAIM_SECRET',
      );
    }
    return signMemberClaim(options.claimSecret, who);
  };
  const credentials = (input: CredentialsRequest): Promise<MeetingCredentials> =>
    request({ method: 'POST', path: '/v1/meeting-credentials', body: input });
  const changed =
    (subject: string) =>
    async (trx: Queryable, id: string): Promise<void> => {
      const parent = options.traceparent?.();
      // In a sub-query that cannot be flattened, so that it is set before it is read.
      if (parent === undefined) await query(trx, 'select steward.changed($1, $2)', [subject, id]);
      else
        await query(
          trx,
          `with traced as materialized (select set_config('steward.traceparent', $3, true))
           select steward.changed($1, $2) from traced`,
          [subject, id, parent],
        );
    };

  return {
    /** Say it in the transaction that changes a member, their groups, opt-out or external personal connection. */
    memberChanged: changed('member'),
    /** Say it in the transaction that creates or changes an event type, its hosts or its locations. */
    eventTypeChanged: changed('event_type'),
    /** Say it in the transaction that changes an organization, its domains, plan, or deletes it. */
    organizationChanged: changed('organization'),

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

    /** A link for a Zoom admin; `by` must be an owner or admin. */
    requestConnectLink: (input: { by: ActingMember }): Promise<ConnectLink> => requestAs(input.by, 'connect-links', {}),

    /** State of the organization's connection and, if one waits, the candidate to confirm. */
    connection: (input: { organizationId: string }): Promise<Record<string, unknown>> =>
      request({ method: 'GET', path: `${organizationPath(input.organizationId)}/connection` }),

    /** An owner or admin says: yes, this Zoom is ours. */
    confirmConnection: (input: { by: ActingMember; candidateId: string }): Promise<{ state: string }> =>
      requestAs(input.by, 'connection/confirm', { candidateId: input.candidateId }),

    /** What a disconnect would do, without doing anything. */
    preview: (input: { organizationId: string }): Promise<DisconnectPreview> =>
      request({ method: 'GET', path: `${organizationPath(input.organizationId)}/connection/disconnect-preview` }),

    /** Disconnects, with the preview's generation and the organization's name typed; refused as stale_preview otherwise. */
    disconnect: (input: {
      by: ActingMember;
      generation: number;
      organizationName: string;
    }): Promise<{ runId: string }> =>
      requestAs(input.by, 'connection/disconnect', {
        generation: input.generation,
        organizationName: input.organizationName,
      }),

    /** Takes the offer to restore what the last disconnect removed. */
    restore: (input: { by: ActingMember }): Promise<{ runId: string }> => requestAs(input.by, 'connection/restore', {}),

    personal: {
      /** A member's own Zoom, managed by the worker or kept by the main app. */
      get: (input: { organizationId: string; memberId: string }): Promise<PersonalZoom> =>
        request({ method: 'GET', path: personalPath(input, 'personal-connection') }),
      /** Where to send the member's browser to connect a Zoom of their own; good for an hour. */
      requestConsent: (input: { by: ActingMember }): Promise<ConnectLink> =>
        request({
          method: 'POST',
          path: personalPath(input.by, 'personal-consents'),
          body: {},
          claim: claim(input.by),
        }),
      /** The member ends it; the organization's takes over by itself. Ending it again is no error. */
      disconnect: (input: { by: ActingMember }): Promise<PersonalZoom> =>
        request({ method: 'DELETE', path: personalPath(input.by, 'personal-connection'), claim: claim(input.by) }),
    },

    mappings: {
      /** A thousand at a time; `next` is what to give as `after`. */
      list: (input: {
        organizationId: string;
        after?: string;
      }): Promise<{ mappings: Mapping[]; next: string | null }> =>
        request({
          method: 'GET',
          path: pageOf(input, 'mappings'),
        }),
      /** What the wishes would do, line by line; changes nothing. */
      preview: ({ by, ...wishes }: { by: ActingMember } & MappingWishes): Promise<MappingSummary> =>
        requestAs(by, 'mappings/preview', wishes),
      /** Does all of it or nothing; `by` must be an owner. Refused as mappings_refused, with the lines. */
      write: ({ by, ...wishes }: { by: ActingMember } & MappingWishes): Promise<MappingSummary> =>
        requestAs(by, 'mappings', wishes),
      /** Zoom users that may be members who have none. A suggestion becomes a mapping by `write`, and by nothing else. */
      suggest: (input: { organizationId: string; after?: string }): Promise<MappingSuggestions> =>
        request({ method: 'GET', path: pageOf(input, 'mapping-suggestions') }),
    },
    equivalences: {
      /** Pairs of domains that mean the same people in an organization. */
      list: (input: { organizationId: string }): Promise<{ equivalences: DomainEquivalence[] }> =>
        request({ method: 'GET', path: `${organizationPath(input.organizationId)}/domain-equivalences` }),
      /** Who would be matched, moved, or lose a match; changes nothing. */
      preview: ({
        by,
        ...change
      }: { by: ActingMember; change: 'add' | 'remove' } & DomainPair): Promise<EquivalenceSummary> =>
        requestAs(by, 'domain-equivalences/preview', change),
      /** `by` must be an owner. The same again changes nothing. */
      add: ({ by, ...pair }: { by: ActingMember } & EquivalenceRequest): Promise<EquivalenceSummary> =>
        requestAs(by, 'domain-equivalences', pair),
      /** Ends what the pair made, and nothing else. */
      remove: ({ by, ...pair }: { by: ActingMember } & EquivalenceRequest): Promise<EquivalenceSummary> =>
        requestAs(by, 'domain-equivalences/remove', pair),
    },
    settings: {
      /** Settings of an organization; one that never changed any has the defaults. */
      read: (input: { organizationId: string }): Promise<OrganizationSettings> =>
        request({ method: 'GET', path: `${organizationPath(input.organizationId)}/settings` }),
      /** What they would be, and what that would take from whom, without changing anything. */
      preview: (input: {
        organizationId: string;
        changes: Partial<OrganizationSettings>;
      }): Promise<{ settings: OrganizationSettings; needsConfirmation: boolean; preview: DisconnectPreview }> =>
        request({
          method: 'POST',
          path: `${organizationPath(input.organizationId)}/settings/preview`,
          body: input.changes,
        }),
      /** An owner or admin changes some; what may take Zoom from somebody needs the preview's generation and the name. */
      change: (input: {
        by: ActingMember;
        changes: Partial<OrganizationSettings>;
        generation?: number;
        organizationName?: string;
      }): Promise<{ settings: OrganizationSettings; changed: string[]; generation: number; runId: string | null }> => {
        const { by, ...body } = input;
        return requestAs(by, 'settings', body, 'PATCH');
      },
    },

    /** Zoom for the event types that were there before the setting for new ones: previewed, ordered, undone. */
    oneTimeRuns: createOneTimeRuns({
      get: (organizationId, path) => request({ method: 'GET', path: `${organizationPath(organizationId)}/${path}` }),
      postAs: requestAs,
    }),

    /** A look at Zoom now, at most once a minute; what follows is in the connection. */
    verifyNow: (input: { by: ActingMember }): Promise<{ connectionId: string }> =>
      requestAs(input.by, 'connection/verify', {}),

    /** Lets the deadline of an interrupted connection end so many days later. */
    extendDeadline: (input: { by: ActingMember; days: number }): Promise<{ deadlineAt: string }> =>
      requestAs(input.by, 'connection/deadline', { days: input.days }),

    /** What the main app is told: read by cursor, or worked on from the queue; docs/contracts/events.md. */
    events: createEvents(options.db),

    meetings: {
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
    },

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
