import type { Hosting, PersonalState, Reason } from '../../../src/reconciliation/oracle-members.ts';
import type { EventKind, WorldConnection } from '../../../src/reconciliation/oracle-world.ts';

/** How an organization stands to Zoom, as far as the rules tell it apart. */
export const connectionStates = [
  'none',
  'none after a disconnect',
  'pending',
  'pending after a disconnect',
  'active',
  'interrupted',
  'disconnecting',
] as const;

export type ConnectionState = (typeof connectionStates)[number];

const reasons = [
  'member_inactive',
  'personal',
  'organization',
  'personal_broken_organization',
  'personal_broken',
  'opted_out',
  'not_in_rollout',
  'organization_disconnected',
  'personal_disconnected',
  'never_connected',
] as const satisfies readonly Reason[];

const personalStates = ['none', 'usable', 'broken', 'disconnected'] as const satisfies readonly PersonalState[];

const hostings = [
  'can_host',
  'no_connection',
  'interrupted',
  'checking',
  'no_zoom_user',
  'email_not_verified',
  'ambiguous_match',
  'zoom_user_pending',
  'zoom_user_inactive',
  'no_meeting_licence',
] as const satisfies readonly Hosting[];

export const eventKinds = [
  'solo',
  'group',
  'managed',
  'template',
  'round_robin',
  'collective',
] as const satisfies readonly EventKind[];

/** What is true of one member; every kind of event type can be served by anybody. */
export type Combination = {
  readonly reason: Reason;
  readonly connection: ConnectionState;
  readonly personal: PersonalState;
  readonly hosting: Hosting;
};

/** State of a world's connection in the words of the combinations. */
export function connectionState(connection: WorldConnection | null): ConnectionState {
  if (!connection) return 'none';
  const { state, everDisconnected } = connection;
  if (state === 'none') return everDisconnected ? 'none after a disconnect' : 'none';
  if (state === 'pending') return everDisconnected ? 'pending after a disconnect' : 'pending';
  return state;
}

/** Why a combination cannot exist; the first that applies. */
const impossible: readonly (readonly [string, (combination: Combination) => boolean])[] = [
  [
    'only a usable personal connection is the reason personal',
    ({ reason, personal }) => reason === 'personal' && personal !== 'usable',
  ],
  [
    'a usable personal connection decides for everybody who is active',
    ({ reason, personal }) => personal === 'usable' && reason !== 'personal' && reason !== 'member_inactive',
  ],
  [
    'the organization serves only while active or interrupted',
    ({ reason, connection }) =>
      (reason === 'organization' || reason === 'personal_broken_organization') &&
      connection !== 'active' &&
      connection !== 'interrupted',
  ],
  [
    'the organization serving a broken personal has its own name',
    ({ reason, personal }) => reason === 'organization' && personal === 'broken',
  ],
  ['… and needs one', ({ reason, personal }) => reason === 'personal_broken_organization' && personal !== 'broken'],
  [
    'personal_broken needs a broken one',
    ({ reason, personal }) => reason === 'personal_broken' && personal !== 'broken',
  ],
  [
    'a broken one is named before opting out, rollout and disconnects',
    ({ reason, personal }) =>
      personal === 'broken' && !['member_inactive', 'personal_broken', 'personal_broken_organization'].includes(reason),
  ],
  [
    'opting out and rollout matter only while the organization could serve',
    ({ reason, connection }) =>
      (reason === 'opted_out' || reason === 'not_in_rollout') &&
      connection !== 'active' &&
      connection !== 'interrupted',
  ],
  [
    'the organization is disconnected from the decision until it is active again',
    ({ reason, connection }) =>
      reason === 'organization_disconnected' && !/after a disconnect|disconnecting/.test(connection),
  ],
  [
    'what never was, or ended with the member, shows only where there never was an organization connection',
    ({ reason, connection }) =>
      (reason === 'personal_disconnected' || reason === 'never_connected') &&
      connection !== 'none' &&
      connection !== 'pending',
  ],
  [
    'personal_disconnected needs one',
    ({ reason, personal }) => reason === 'personal_disconnected' && personal !== 'disconnected',
  ],
  ['never_connected needs none', ({ reason, personal }) => reason === 'never_connected' && personal !== 'none'],
  ['a personal connection can host', ({ reason, hosting }) => reason === 'personal' && hosting !== 'can_host'],
  [
    'who is served by nothing has no_connection, and nobody else',
    ({ reason, hosting }) =>
      (hosting === 'no_connection') === ['personal', 'organization', 'personal_broken_organization'].includes(reason),
  ],
  [
    'an interrupted organization hosts for nobody, and only that is interrupted',
    ({ reason, connection, hosting }) =>
      reason !== 'personal' &&
      hosting !== 'no_connection' &&
      (connection === 'interrupted') !== (hosting === 'interrupted'),
  ],
];

/** Why a combination cannot exist, or null if it can. */
const whyImpossible = (combination: Combination): string | null =>
  impossible.find(([, applies]) => applies(combination))?.[0] ?? null;

/** Every combination that can exist. */
export const possibleCombinations: readonly Combination[] = reasons.flatMap((reason) =>
  connectionStates.flatMap((connection) =>
    personalStates.flatMap((personal) =>
      hostings
        .map((hosting) => ({ reason, connection, personal, hosting }))
        .filter((each) => whyImpossible(each) === null),
    ),
  ),
);

/** The same combination has the same name. */
export const combinationName = ({ reason, connection, personal, hosting }: Combination): string =>
  [connection, reason, personal, hosting].join(' / ');
