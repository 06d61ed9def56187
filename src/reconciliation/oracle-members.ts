import { addressKey, type Match, matchOf } from './oracle-match.ts';
import type {
  ManagedZoom,
  OrganizationState,
  World,
  WorldMember,
  WorldSettings,
  WorldZoomUser,
} from './oracle-world.ts';

/**
 * The rules of docs/behaviour.md about members, written a second time to be read: plain functions of a world,
 * no I/O, no speed. The engine's SQL is compared with them over thousands of worlds.
 */

export type PersonalState = 'none' | 'usable' | 'broken' | 'disconnected';

export type Reason =
  | 'member_inactive'
  | 'personal'
  | 'organization'
  | 'personal_broken_organization'
  | 'personal_broken'
  | 'opted_out'
  | 'not_in_rollout'
  | 'organization_disconnected'
  | 'personal_disconnected'
  | 'never_connected';

export type Effective = 'personal' | 'organization' | 'none';

export type Hosting =
  | 'can_host'
  | 'no_connection'
  | 'interrupted'
  | 'checking'
  | 'no_zoom_user'
  | 'email_not_verified'
  | 'ambiguous_match'
  | 'zoom_user_pending'
  | 'zoom_user_inactive'
  | 'no_meeting_licence';

/** What the rules say of one member. */
export type Answer = {
  readonly reason: Reason;
  readonly effective: Effective;
  readonly hosting: Hosting;
  /** Zoom user the member hosts as through the organization; null where the member cannot, or uses their own */
  readonly zoomUserId: string | null;
  /** hosts as a basic Zoom user: 40 minutes */
  readonly basicPlan: boolean;
  /** hosts through the organization's shared host */
  readonly sharedHost: boolean;
};

/** Facts about one member, as far as the choice of a connection goes. */
export type MemberFacts = {
  readonly active: boolean;
  readonly personal: PersonalState;
  readonly inRollout: boolean;
  /** opted out, and the organization allows it */
  readonly optedOut: boolean;
  readonly organization: OrganizationState;
  readonly everDisconnected: boolean;
};

/** Answer for a member of the world; an id without a row in it is somebody who left. */
export function answerFor(world: World, memberId: string): Answer {
  const member = world.members.find(({ id }) => id === memberId);
  const reason = member ? reasonOf(factsOf(world, member)) : 'member_inactive';
  const effective = effectiveOf(reason);
  return { reason, effective, ...hostingOf(world, member, effective) };
}

/** The facts that a world holds about a member. */
export function factsOf({ connection, settings }: World, member: WorldMember): MemberFacts {
  return {
    active: member.active,
    personal: personalState(member),
    inRollout: inRollout(settings, member),
    optedOut: settings.allowOptOut && member.optedOut,
    organization: connection?.state ?? 'none',
    everDisconnected: connection?.everDisconnected ?? false,
  };
}

/** Which rule decides: the first that holds. */
function reasonOf(facts: MemberFacts): Reason {
  const { active, personal, inRollout, optedOut, organization, everDisconnected } = facts;
  const connected = organization === 'active' || organization === 'interrupted';

  if (!active) return 'member_inactive';
  if (personal === 'usable') return 'personal';
  if (connected && inRollout && !optedOut)
    return personal === 'broken' ? 'personal_broken_organization' : 'organization';
  if (personal === 'broken') return 'personal_broken';
  if (connected) return optedOut ? 'opted_out' : 'not_in_rollout';
  if (organization === 'disconnecting' || everDisconnected) return 'organization_disconnected';
  if (personal === 'disconnected') return 'personal_disconnected';
  return 'never_connected';
}

/** The one connection that serves a member, by the rule that decided. */
function effectiveOf(reason: Reason): Effective {
  if (reason === 'personal') return 'personal';
  if (reason === 'organization' || reason === 'personal_broken_organization') return 'organization';
  return 'none';
}

function personalState({ managed, external }: WorldMember): PersonalState {
  const states = [managed ? managedState(managed) : 'none', externalState(external)];
  if (states.includes('usable')) return 'usable';
  if (states.includes('broken')) return 'broken';
  if (states.includes('disconnected')) return 'disconnected';
  return 'none';
}

/** A managed connection is as good as its grant: one that is dead, or was released, serves nobody. */
function managedState({ state, grant }: ManagedZoom): PersonalState {
  if (state === 'connecting') return 'none';
  if (state === 'disconnected' || state === 'broken') return state;
  return grant === 'living' || grant === 'suspect' ? 'usable' : 'broken';
}

function externalState(external: WorldMember['external']): PersonalState {
  if (external === null) return 'none';
  return external === 'connected' ? 'usable' : external;
}

/** A domain rollout goes by the address as entered: whether it is verified decides about hosting, not about being served. */
function inRollout({ rollout }: WorldSettings, { groups, email }: WorldMember): boolean {
  if (rollout.to === 'all') return true;
  if (rollout.to === 'groups') return groups.some((group) => rollout.groups.includes(group));
  return rollout.domains.some((domain) => addressKey(email).endsWith(`@${domain}`));
}

type HostingAnswer = Pick<Answer, 'hosting' | 'zoomUserId' | 'basicPlan' | 'sharedHost'>;

const cannot = (hosting: Hosting): HostingAnswer => ({
  hosting,
  zoomUserId: null,
  basicPlan: false,
  sharedHost: false,
});

function hostingOf(world: World, member: WorldMember | undefined, effective: Effective): HostingAnswer {
  if (!member || effective === 'none') return cannot('no_connection');
  if (effective === 'personal') return { ...cannot('no_connection'), hosting: 'can_host' };
  if (world.connection?.state === 'interrupted') return cannot('interrupted');

  const match = matchOf(world, member);
  if (match.how === 'mapping' || match.how === 'email') return ownHosting(match.user);
  if (match.how === 'checking') return cannot('checking');

  const shared = sharedHost(world);
  if (shared) return { hosting: 'can_host', zoomUserId: shared.id, basicPlan: shared.type === 1, sharedHost: true };
  return cannot(withoutZoomUser[match.how]);
}

const withoutZoomUser = {
  none: 'no_zoom_user',
  not_verified: 'email_not_verified',
  ambiguous: 'ambiguous_match',
} as const satisfies Record<Exclude<Match['how'], 'mapping' | 'email' | 'checking'>, Hosting>;

function ownHosting(user: WorldZoomUser): HostingAnswer {
  if (user.status === 'pending') return cannot('zoom_user_pending');
  if (user.status === 'inactive') return cannot('zoom_user_inactive');
  if (user.type !== 1 && user.type !== 2) return cannot('no_meeting_licence');
  return { hosting: 'can_host', zoomUserId: user.id, basicPlan: user.type === 1, sharedHost: false };
}

/** The shared host, while that Zoom user can host at all: nobody hosts through somebody who is gone. */
function sharedHost({ settings, directory }: World): WorldZoomUser | undefined {
  return directory.users.find(
    (user) =>
      user.id !== null &&
      user.id === settings.sharedHost &&
      user.status === 'active' &&
      (user.type === 1 || user.type === 2),
  );
}
