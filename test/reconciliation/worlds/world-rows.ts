import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import { addressKey } from '../../../src/reconciliation/oracle-match.ts';
import type { World, WorldMember } from '../../../src/reconciliation/oracle-world.ts';
import type { Row } from './insert-rows.ts';
import { accountOf, idOf, organizationOf } from './world-ids.ts';

/** A world with the name under which its rows are found again. */
export type NamedWorld = { readonly key: string; readonly world: World };

/** … and the place where its main app keeps locations. */
export type PlayedWorld = NamedWorld & { readonly adapter: LocationAdapter };

const hour = 3_600_000;
/** Times around the last walk through the directory, before now. */
export const walkTimes = (nowMs: number) => ({
  before: new Date(nowMs - 24 * hour).toISOString(),
  walk: new Date(nowMs - 2 * hour).toISOString(),
  after: new Date(nowMs - hour).toISOString(),
});

export type WalkTimes = ReturnType<typeof walkTimes>;

/** Table → rows, for everything that says what is true of an organization, but not its event types. */
export type FactRows = Readonly<Record<string, readonly Row[]>>;

/** The rows that say what a world says. Beside them stand rows of another organization that must not count. */
export function factRows({ key, world }: NamedWorld, times: WalkTimes): FactRows {
  const organization_id = organizationOf(key);
  const { connection, settings, members, directory } = world;
  const account = connection?.zoomAccountId ? accountOf(key, connection.zoomAccountId) : null;
  const { rollout } = settings;
  const id = (label: string) => idOf(key, label);
  const groups = new Set([
    ...members.flatMap((member) => member.groups),
    ...(rollout.to === 'groups' ? rollout.groups : []),
  ]);
  return {
    'steward_app.organizations': [
      { id: organization_id, name: key, time_zone: 'UTC', plan_includes_zoom: true, created_at: times.before },
    ],
    'steward_app.groups': [...groups].map((name) => ({ id: id(name), organization_id, name })),
    'steward_app.members': members.map((member) => ({
      id: id(member.id),
      organization_id,
      name: member.id,
      email: member.email,
      email_verified: member.emailVerified,
      role: 'user',
      active: member.active,
      created_at: times.before,
      updated_at: member.addressSeenBeforeWalk ? times.before : times.after,
    })),
    'steward_app.group_members': members.flatMap((member) =>
      member.groups.map((group) => ({ group_id: id(group), member_id: id(member.id), organization_id })),
    ),
    'steward_app.personal_connections': members.flatMap((member) =>
      member.external
        ? [{ member_id: id(member.id), organization_id, state: member.external, updated_at: times.before }]
        : [],
    ),
    'steward.grants': members.flatMap((member) =>
      member.managed ? [grantRow(key, member, member.managed.grant)] : [],
    ),
    'steward.personal_connections': members.flatMap((member) =>
      member.managed
        ? [
            {
              id: id(`managed ${member.id}`),
              organization_id,
              member_id: id(member.id),
              state: member.managed.state,
              grant_id: id(`grant ${member.id}`),
              zoom_account_id: 'acc_personal',
              zoom_user_id: `own_${member.id}`,
              changed_at: times.before,
            },
          ]
        : [],
    ),
    'steward.opt_outs': members.flatMap((member) =>
      member.optedOut ? [{ organization_id, member_id: id(member.id), opted_out_at: times.before }] : [],
    ),
    'steward.zoom_user_mappings': members.flatMap(({ id: label, mapping }) =>
      mapping
        ? [
            {
              organization_id,
              member_id: id(label),
              zoom_account_id: accountOf(key, mapping.zoomAccountId),
              zoom_user_id: mapping.zoomUserId,
              actor: 'operator:test',
              created_at: times.before,
            },
          ]
        : [],
    ),
    'steward.organization_settings': [
      {
        organization_id,
        allow_opt_out: settings.allowOptOut,
        zoom_for_new_event_types: settings.zoomForNew,
        new_event_types_since: settings.zoomForNew ? times.walk : null,
        meeting_summary: false,
        rollout: rollout.to,
        rollout_groups: rollout.to === 'groups' ? rollout.groups.map(id) : [],
        rollout_domains: rollout.to === 'domains' ? rollout.domains : [],
        fallback_location: settings.fallback,
        shared_host_zoom_user_id: settings.sharedHost,
        archive_days: 90,
        updated_at: times.before,
      },
    ],
    'steward.org_connections': connection
      ? [
          {
            id: id('connection'),
            organization_id,
            state: connection.state,
            generation: connection.generation,
            zoom_account_id: account,
            disconnect_cause: connection.disconnectCause,
            disconnected_at: connection.everDisconnected ? times.before : null,
            restore_generations: connection.restoreGenerations,
            observe: connection.observe,
            created_at: times.before,
          },
        ]
      : [],
    'steward.directories': account
      ? [{ zoom_account_id: account, synced_at: directory.walked ? times.walk : null, users: directory.users.length }]
      : [],
    // address_key and duplicate are computed in SQL by whoever writes these rows.
    'steward.directory_users': account
      ? directory.users.map((user) => ({
          zoom_account_id: account,
          zoom_user_id: user.id,
          email: user.email,
          status: user.status,
          user_type: user.type,
        }))
      : [],
    'steward.directory_lookups': account
      ? directory.notFound.map((email) => ({ zoom_account_id: account, email, looked_up_at: times.after }))
      : [],
  };
}

/** What was stored of the members when they were looked at last: only this tells an earlier match and an address's age. */
export function storedFacts({ key, world }: NamedWorld, times: WalkTimes): Row[] {
  return world.members.flatMap((member) => {
    const known = member.addressSeenBeforeWalk && member.emailVerified;
    // A mapping that was taken back is in nobody's memory, but its result may still be stored.
    const formerlyMapped = member.earlierMatch === null && member.mapping === null && known;
    if (member.earlierMatch === null && !formerlyMapped) return [];
    return [
      {
        organization_id: organizationOf(key),
        member_id: idOf(key, member.id),
        active: member.active,
        in_rollout: true,
        opted_out: false,
        personal: 'none',
        address_key: member.addressSeenBeforeWalk ? addressKey(member.email) : `earlier ${member.id}@acme.test`,
        address_since: times.before,
        match: formerlyMapped ? 'mapping' : 'email',
        zoom_user_key: formerlyMapped ? 'shared' : member.earlierMatch,
        zoom_status: 'active',
        zoom_type: 2,
      },
    ];
  });
}

function grantRow(key: string, { id }: WorldMember, state: string): Row {
  const sealed = state === 'gone' || state === 'dead' ? null : 'v1.k.iv.ct.tag';
  return {
    id: idOf(key, `grant ${id}`),
    client_kind: 'personal',
    client_id: 'client_personal',
    zoom_account_id: 'acc_personal',
    zoom_user_id: idOf(key, `own ${id}`),
    state,
    dead_reason: state === 'dead' ? 'revoked' : null,
    version: 1,
    sealed_access: sealed,
    sealed_refresh: sealed,
    scopes: [],
    api_base: 'https://api.zoom.us',
    consented_at: new Date(0).toISOString(),
    created_at: new Date(0).toISOString(),
  };
}

/** Rows of other organizations and accounts that look just like the ones that count. */
export function noiseRows({ key, world }: NamedWorld, times: WalkTimes): FactRows {
  const organization_id = idOf(key, 'another organization');
  const account = accountOf(key, 'another account');
  const keys = world.members.map(({ email }) => addressKey(email));
  const id = (label: string) => idOf(key, label);
  return {
    'steward.opt_outs': world.members.map((member) => ({
      organization_id,
      member_id: id(member.id),
      opted_out_at: times.before,
    })),
    'steward.zoom_user_mappings': world.members.map((member) => ({
      organization_id,
      member_id: id(member.id),
      zoom_account_id: account,
      zoom_user_id: `noise_${member.id}`,
      actor: 'operator:test',
      created_at: times.before,
    })),
    'steward.personal_connections': world.members.map((member) => ({
      id: id(`noise ${member.id}`),
      organization_id,
      member_id: id(member.id),
      state: member.managed?.state === 'active' ? 'broken' : 'active',
      changed_at: times.before,
    })),
    'steward.directory_users': [
      ...world.members
        .filter(({ email }, index) => keys.indexOf(addressKey(email)) === index)
        .map((member) => ({
          zoom_account_id: account,
          zoom_user_id: `noise_${member.id}`,
          email: member.email,
          status: 'inactive',
          user_type: 99,
        })),
      // Mapped in an account that is not connected: the user is there, and does not count.
      ...world.members.flatMap(({ mapping, email }) =>
        mapping && mapping.zoomAccountId !== world.connection?.zoomAccountId
          ? [
              {
                zoom_account_id: accountOf(key, mapping.zoomAccountId),
                zoom_user_id: mapping.zoomUserId,
                email,
                status: 'inactive',
                user_type: 2,
              },
            ]
          : [],
      ),
    ],
    'steward.member_facts': storedFacts({ key, world }, times).map((row) => ({
      ...row,
      organization_id,
      zoom_user_key: `noise`,
    })),
  };
}
