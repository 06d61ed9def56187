/**
 * A world: everything the rules of docs/behaviour.md look at in one organization, as plain data.
 * The oracle reads it; tests write the same world into Postgres and compare. Nothing here knows of tables.
 */

export type OrganizationState = 'none' | 'pending' | 'active' | 'interrupted' | 'disconnecting';

/** The org connection; an organization that never asked for one has none at all. */
export type WorldConnection = {
  readonly state: OrganizationState;
  /** a disconnect was decided since the last activation */
  readonly everDisconnected: boolean;
  /** cause of the disconnect under way, or of the last one */
  readonly disconnectCause: 'person' | 'deadline' | 'organization_deleted' | 'plan_ended' | null;
  /** Zoom account connected, or connected last; null: never */
  readonly zoomAccountId: string | null;
  readonly generation: number;
  /** generations whose archived locations return without being offered */
  readonly restoreGenerations: readonly number[];
  /** plans are shown, nothing is written */
  readonly observe: boolean;
};

export type WorldSettings = {
  readonly allowOptOut: boolean;
  readonly rollout:
    | { readonly to: 'all' }
    | { readonly to: 'groups'; readonly groups: readonly string[] }
    | { readonly to: 'domains'; readonly domains: readonly string[] };
  readonly fallback: { readonly kind: string; readonly details: Readonly<Record<string, unknown>> } | null;
  /** Zoom user id */
  readonly sharedHost: string | null;
  /** new event types start with Zoom */
  readonly zoomForNew: boolean;
};

export type GrantState = 'living' | 'suspect' | 'dead' | 'retiring' | 'gone';

/** A personal connection whose consent and tokens are ours. */
export type ManagedZoom = {
  readonly state: 'connecting' | 'active' | 'suspect' | 'broken' | 'disconnected';
  readonly grant: GrantState;
};

/** A row of a member in the organization. A member who left has none. */
export type WorldMember = {
  readonly id: string;
  readonly active: boolean;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly groups: readonly string[];
  readonly optedOut: boolean;
  readonly managed: ManagedZoom | null;
  /** the main app keeps the tokens and shows us the fact */
  readonly external: 'connected' | 'broken' | 'disconnected' | null;
  /** made by an owner or operator, or following from a pair of domains: whoever is looked at asks no further */
  readonly mapping: { readonly zoomAccountId: string; readonly zoomUserId: string } | null;
  /** key of the Zoom user found by e-mail when this was looked at last, whatever the address is today */
  readonly earlierMatch: string | null;
  /** whether the last walk through the directory began after this address was first seen */
  readonly addressSeenBeforeWalk: boolean;
};

export type ZoomUserStatus = 'active' | 'inactive' | 'pending';

export type WorldZoomUser = {
  /** null while pending: Zoom gives no id before the invitation is accepted */
  readonly id: string | null;
  readonly email: string;
  readonly status: ZoomUserStatus;
  /** 1 basic, 2 licensed, 4 and 99 no meeting licence */
  readonly type: number;
};

/** Our copy of the users of the connection's Zoom account. */
export type WorldDirectory = {
  /** whether a walk ever completed */
  readonly walked: boolean;
  readonly users: readonly WorldZoomUser[];
  /** addresses that were looked up singly and not found */
  readonly notFound: readonly string[];
};

export type EventKind = 'solo' | 'group' | 'managed' | 'template' | 'round_robin' | 'collective';

export type WorldLocation = {
  readonly id: string;
  readonly kind: string;
  readonly details: Readonly<Record<string, unknown>>;
};

/** The copy of one Zoom location that was taken away. */
export type WorldArchive = {
  readonly location: WorldLocation;
  /** index in the list it was taken from */
  readonly place: number;
  /** the whole list that was left, an inserted fallback included */
  readonly left: readonly WorldLocation[];
  /** what was inserted because Zoom was the only location */
  readonly fallback: WorldLocation | null;
  readonly cause: RemovalCause;
  readonly offered: boolean;
  /** generation of the connection when it was removed */
  readonly generation: number;
  /** Zoom was there again and was taken away again since: this copy never returns */
  readonly overtaken: boolean;
  readonly expired: boolean;
  readonly accepted: boolean;
};

/** What is known of an event type's start with Zoom; `seen` is the list that was there while it waits for a host. */
export type WorldStart =
  | { readonly state: 'waiting'; readonly seen: readonly WorldLocation[] }
  | { readonly state: 'had' | 'left' | 'added' };

export type WorldEventType = {
  readonly id: string;
  readonly kind: EventKind;
  /** owner, assignee or organizer */
  readonly host: string | null;
  /** hosts of a round robin, assignees of a template, co-hosts of a collective */
  readonly hosts: readonly { readonly member: string; readonly active: boolean }[];
  readonly locations: readonly WorldLocation[];
  readonly archives: readonly WorldArchive[];
  /** flagged: a removal left it without any location */
  readonly needsLocation: boolean;
  /** created since the setting for new ones was turned on, or the organization connected */
  readonly isNew: boolean;
  /** null: nobody looked at it while it was new */
  readonly start: WorldStart | null;
};

export type World = {
  readonly connection: WorldConnection | null;
  readonly settings: WorldSettings;
  readonly members: readonly WorldMember[];
  readonly directory: WorldDirectory;
  readonly eventTypes: readonly WorldEventType[];
};

/** Why nothing serves a location any more, in the order in which one cause is named for several servers. */
export const removalCauses = [
  'member_inactive',
  'opted_out',
  'not_in_rollout',
  'organization_disconnected',
  'personal_disconnected',
] as const;

export type RemovalCause = (typeof removalCauses)[number];
