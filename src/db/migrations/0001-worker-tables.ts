import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const settings: TableSpec[] = [
  {
    name: 'steward.installation',
    comment: 'Facts about this installation, one row each: the chosen queue, its id, the schema of the main app.',
    columns: {
      key: ['text primary key', 'Name of the fact.'],
      value: ['jsonb not null', 'Its value.'],
      updated_at: ['timestamptz not null default now()', 'When it was last set.'],
    },
  },
  {
    name: 'steward.clock',
    comment: 'Offset of steward.now() from the database clock: zero in production, moved by demo and tests.',
    columns: {
      only_row: ['boolean primary key default true check (only_row)', 'There is one row.'],
      offset_by: [`interval not null default '0'`, 'Added to the database clock.'],
    },
  },
  {
    name: 'steward.switches',
    comment: 'Operator switches, effective within seconds; a missing row means off.',
    columns: {
      name: [
        `text primary key check (name in ('pause_all', 'pause_writes', 'pause_zoom', 'pause_declaring', 'observe_only'))`,
        'Which switch.',
      ],
      reason: ['text not null', 'Why it is on.'],
      actor: ['text not null', 'Who turned it on.'],
      since: ['timestamptz not null', 'Since when.'],
    },
  },
  {
    name: 'steward.organization_settings',
    comment: 'Settings of an organization; a missing row means the defaults.',
    columns: {
      organization_id: ['uuid primary key', 'The organization.'],
      allow_opt_out: ['boolean not null default false', 'Whether members may opt out of the organization connection.'],
      zoom_for_new_event_types: ['boolean not null default false', 'Whether new event types start with Zoom.'],
      meeting_summary: ['boolean not null default false', 'Whether meeting defaults ask for a summary.'],
      rollout: [
        `text not null default 'all' check (rollout in ('all', 'groups', 'domains'))`,
        'Whom the connection serves.',
      ],
      rollout_groups: [`uuid[] not null default '{}'`, 'Groups served, when rollout is groups.'],
      rollout_domains: [
        `text[] not null default '{}'`,
        'E-mail domains served (ASCII, lower case), when rollout is domains.',
      ],
      fallback_location: [
        'jsonb',
        'What a removal leaves where Zoom was the only location: {"kind", "details"}; null leaves nothing.',
      ],
      shared_host_zoom_user_id: ['text', 'Zoom user who hosts for members without one.'],
      reconnect_days: [
        'smallint default 14 check (reconnect_days between 1 and 60)',
        'Days from the notice of an interruption to the automatic disconnect; null means never.',
      ],
      archive_days: [
        'smallint not null default 90 check (archive_days between 1 and 3650)',
        'Days archived locations can be restored.',
      ],
      updated_at: ['timestamptz not null default now()', 'When a setting last changed.'],
    },
  },
  {
    name: 'steward.opt_outs',
    comment: 'Members who opted out; counts only while allow_opt_out is on.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      member_id: ['uuid not null', 'The member.'],
      opted_out_at: ['timestamptz not null default now()', 'When.'],
    },
    constraints: ['primary key (organization_id, member_id)'],
  },
  {
    name: 'steward.zoom_user_mappings',
    comment:
      'Explicit matches of members to Zoom users, made by an owner or operator; they go before e-mail and end with the Zoom account.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      member_id: ['uuid not null', 'The member.'],
      zoom_account_id: ['text not null', 'Zoom account the mapping is about.'],
      zoom_user_id: ['text not null', 'Zoom user.'],
      actor: ['text not null', 'Who made it.'],
      created_at: ['timestamptz not null default now()', 'When.'],
    },
    constraints: ['primary key (organization_id, member_id)'],
    indexes: ['create index zoom_user_mappings_user on steward.zoom_user_mappings (zoom_account_id, zoom_user_id)'],
  },
];

const grants: TableSpec[] = [
  {
    name: 'steward.grants',
    comment: "One Zoom user's consent to one of our client ids, with its sealed tokens. Connections point here.",
    columns: {
      id: ['uuid primary key', 'Id of the grant.'],
      client_kind: [`text not null check (client_kind in ('admin', 'personal'))`, 'Which of our two Zoom apps.'],
      client_id: ['text not null', 'Client id of that app.'],
      zoom_account_id: ['text not null', 'Zoom account of the consenting user.'],
      zoom_user_id: ['text not null', 'The authorizing Zoom user.'],
      zoom_user_email: ['text', 'Address of that user, shown to owners.'],
      state: [
        `text not null check (state in ('living', 'suspect', 'dead', 'retiring', 'gone'))`,
        'living and suspect are usable.',
      ],
      dead_reason: [
        `text check (dead_reason in ('revoked', 'user_removed', 'app_uninstalled', 'grant_expired', 'refresh_lost', 'key_lost', 'app_changed', 'restored'))`,
        'Why it is dead; the last four are our own making.',
      ],
      version: ['bigint not null default 1', 'Grows when the tokens change, and only then.'],
      sealed_access: ['text', 'Access token, sealed (v1.keyId.iv.ciphertext.tag).'],
      sealed_refresh: ['text', 'Refresh token, sealed.'],
      key_id: ['text', 'Key both are sealed with; for rotation.'],
      access_expires_at: ['timestamptz', 'When Zoom said the access token ends.'],
      scopes: [`text[] not null default '{}'`, 'Scopes of the grant as Zoom last named them.'],
      api_base: [`text not null default 'https://api.zoom.us'`, 'Regional API base; only known hosts.'],
      consented_at: ['timestamptz not null', 'When the user last consented.'],
      refreshed_at: ['timestamptz', 'When the tokens last changed.'],
      suspect_since: ['timestamptz', 'First look that failed; null unless suspect.'],
      suspect_reason: ['text', 'What it will be called if the second look fails too: a dead reason.'],
      second_look_at: ['timestamptz', 'Not before: the look that may declare it dead.'],
      lease_token: ['uuid', 'Holder of the refresh lease.'],
      lease_until: ['timestamptz', 'End of the refresh lease.'],
      release_organization_id: ['uuid', 'Organization whose release retires it: it is told how that ended.'],
      retire_until: ['timestamptz', 'Until when revoking is tried; secrets go then, whatever happened.'],
      revoke_outcome: [
        'text',
        "How retiring ended: revoked, already_dead, 'not_revoked: account in use', grant_not_revoked.",
      ],
      created_at: ['timestamptz not null default now()', 'When it was filed first.'],
    },
    constraints: [
      'unique (client_id, zoom_account_id, zoom_user_id)',
      `check ((state = 'gone') = (sealed_refresh is null and sealed_access is null) or state = 'dead')`,
      `check ((dead_reason is not null) = (state = 'dead'))`,
    ],
    with: 'fillfactor = 70',
    indexes: [
      'create index grants_account on steward.grants (client_id, zoom_account_id)',
      'create index grants_key on steward.grants (key_id) where key_id is not null',
      `create index grants_look on steward.grants (second_look_at) where second_look_at is not null`,
      `create index grants_retiring on steward.grants (retire_until) where state = 'retiring'`,
    ],
  },
  {
    name: 'steward.refresh_attempts',
    comment: 'Every attempt to refresh a grant, written before the request leaves.',
    columns: {
      id: ['uuid primary key', 'Id of the attempt, also the lease token.'],
      grant_id: ['uuid not null references steward.grants (id) on delete cascade', 'The grant.'],
      version: ['bigint not null', 'Version of the tokens that were sent.'],
      holder: ['text not null', 'Process that made it.'],
      cause: [
        `text not null check (cause in ('needed', 'token_refused', 'second_look', 'release'))`,
        'Why: too little time left, Zoom refused the access token, a look at a suspect, before revoking.',
      ],
      recovery: ['boolean not null default false', 'Whether an earlier attempt on this version ended unknown.'],
      started_at: ['timestamptz not null', 'When the lease was taken.'],
      deadline_at: ['timestamptz not null', 'When its request is certainly over.'],
      next_at: [
        'timestamptz not null',
        'No other attempt on this version before: deadline and margin, or sooner once the outcome is known.',
      ],
      ended_at: ['timestamptz', 'When the outcome was written.'],
      outcome: [`text check (outcome in ('not_sent', 'rotated', 'refused', 'unknown'))`, 'null while open.'],
      detail: ['text', 'Class of the answer; never a token.'],
    },
    indexes: [
      'create index refresh_attempts_grant on steward.refresh_attempts (grant_id, version, started_at)',
      `create index refresh_attempts_unsettled on steward.refresh_attempts (next_at) where outcome is null or outcome = 'unknown'`,
    ],
  },
  {
    name: 'steward.client_states',
    comment: 'What the token endpoint said about one of our client ids, as opposed to a grant; no row: nothing bad.',
    columns: {
      client_id: ['text primary key', 'The client id.'],
      breaker_since: ['timestamptz', 'Since when Zoom refuses our application; null while it does not.'],
      breaker_until: ['timestamptz', 'Until when nothing is sent; after it one refresh probes.'],
      breaker_reason: ['text', 'Code of the answer that opened it.'],
      breaker_count: ['integer not null default 0', 'Refusals in a row, for the back-off.'],
      paused_until: ['timestamptz', 'Until when Zoom asked us to wait (429).'],
    },
  },
];

const connections: TableSpec[] = [
  {
    name: 'steward.org_connections',
    comment: "The organization's admin-managed link to one Zoom account. Its id never changes, whoever reconnects it.",
    columns: {
      id: ['uuid primary key', 'Id of the connection, for ever.'],
      organization_id: ['uuid not null', 'The organization; no foreign key: ours must outlive their rows.'],
      state: [
        `text not null default 'none' check (state in ('none', 'pending', 'active', 'interrupted', 'disconnecting'))`,
        'What members have.',
      ],
      generation: ['bigint not null default 1', 'Grows with every change that affects who is served.'],
      zoom_account_id: [
        'text',
        'Zoom account connected, also while disconnecting; kept after a disconnect to recognise it when it comes back.',
      ],
      zoom_account_name: ['text', 'Name of the account shown to owners, if known.'],
      grant_id: ['uuid references steward.grants (id)', 'Grant in use.'],
      at_risk_reason: ['text', 'What is missing while everything still works; null when not at risk.'],
      interrupted_reason: ['text', 'Why it is interrupted.'],
      interrupted_at: ['timestamptz', 'When it became interrupted.'],
      notice_event_seq: ['bigint', 'Event that told the owners; the deadline starts when it was delivered.'],
      deadline_at: ['timestamptz', 'When an interruption becomes a disconnect.'],
      plan_ended_at: [
        'timestamptz',
        'When the plan was first seen without Zoom; the same deadline runs from it. Null while it includes Zoom.',
      ],
      disconnect_cause: [
        `text check (disconnect_cause in ('person', 'deadline', 'organization_deleted', 'plan_ended'))`,
        'Cause of the disconnect under way, or of the last one.',
      ],
      disconnected_at: [
        'timestamptz',
        'When the last disconnect was decided; null after activation and if there never was one.',
      ],
      restore_generations: [
        `bigint[] not null default '{}'`,
        'Generations of cascades whose archived locations return: superseded ones and accepted offers.',
      ],
      observe: ['boolean not null default false', 'Plans are computed and shown, nothing is written.'],
      activated_at: ['timestamptz', 'When it became active last.'],
      verified_at: ['timestamptz', 'Last verdict that was not inconclusive.'],
      verify_due_at: ['timestamptz', 'When the next scheduled verification is due.'],
      first_failed_at: ['timestamptz', 'First look that failed, until the second look decides.'],
      created_at: ['timestamptz not null default now()', 'When the organization first asked.'],
    },
    constraints: ['unique (organization_id)'],
    with: 'fillfactor = 70',
    indexes: [
      'create index org_connections_grant on steward.org_connections (grant_id)',
      'create index org_connections_account on steward.org_connections (zoom_account_id)',
      `create index org_connections_verify on steward.org_connections (coalesce(verify_due_at, '-infinity')) where state in ('active', 'interrupted')`,
      `create index org_connections_deadline on steward.org_connections (deadline_at) where state = 'interrupted'`,
    ],
  },
  {
    name: 'steward.personal_connections',
    comment: "Managed personal connections: a member's own Zoom with consent and tokens of ours (second client id).",
    columns: {
      id: ['uuid primary key', 'Id of the connection.'],
      organization_id: ['uuid not null', 'Organization of the member.'],
      member_id: ['uuid not null', 'The member.'],
      state: [
        `text not null check (state in ('connecting', 'active', 'suspect', 'broken', 'disconnected'))`,
        'active and suspect are usable; disconnected: the member ended it.',
      ],
      grant_id: ['uuid references steward.grants (id)', 'Grant in use.'],
      zoom_account_id: ['text', 'Zoom account.'],
      zoom_user_id: ['text', 'Zoom user.'],
      changed_at: ['timestamptz not null default now()', 'When the state last changed.'],
    },
    constraints: ['unique (organization_id, member_id)'],
    indexes: [
      'create index personal_connections_grant on steward.personal_connections (grant_id)',
      'create index personal_connections_member on steward.personal_connections (member_id)',
    ],
  },
  {
    name: 'steward.connect_links',
    comment: 'Links with which a Zoom admin connects Zoom for an organization.',
    columns: {
      id: ['uuid primary key', 'Id of the link; not the secret.'],
      connection_id: ['uuid not null references steward.org_connections (id)', 'What it connects.'],
      organization_id: ['uuid not null', 'The organization.'],
      token_hash: ['bytea not null unique', 'SHA-256 of the 256 random bits.'],
      state: [`text not null default 'open' check (state in ('open', 'completed', 'revoked', 'expired'))`, 'State.'],
      issuer_member_id: ['uuid', 'Owner or admin who made it, or to whom it passed.'],
      issuer_operator: ['text', 'Operator who made it.'],
      reason: ['text', 'Why an operator made it.'],
      attempts: ['smallint not null default 0 check (attempts between 0 and 10)', 'Attempts begun; ten at most.'],
      expires_at: ['timestamptz not null', 'End; extendable.'],
      reminded_at: ['timestamptz', 'When the issuer was last reminded.'],
      created_at: ['timestamptz not null', 'When it was made.'],
      ended_at: ['timestamptz', 'When it left open.'],
    },
    indexes: [
      `create index connect_links_open on steward.connect_links (connection_id) where state = 'open'`,
      `create index connect_links_expiry on steward.connect_links (expires_at) where state = 'open'`,
    ],
  },
  {
    name: 'steward.connect_attempts',
    comment: 'Attempts on a link: from the button to the callback.',
    columns: {
      id: ['uuid primary key', 'Id of the attempt.'],
      link_id: ['uuid not null references steward.connect_links (id)', 'The link.'],
      state: [`text not null check (state in ('started', 'returned', 'done', 'denied', 'expired', 'void'))`, 'State.'],
      state_hash: ['bytea not null unique', 'SHA-256 of the OAuth state parameter.'],
      browser_hash: ['bytea not null', 'SHA-256 of the cookie that binds the attempt to a browser.'],
      session_member_id: ['uuid', 'Member in whose own page session the button was pressed; null without one.'],
      sealed_verifier: ['text', 'PKCE verifier, sealed; gone once used.'],
      expires_at: ['timestamptz not null', 'End of the state: 60 minutes.'],
      outcome: ['text', 'What happened, for the page: a code, never a secret.'],
      created_at: ['timestamptz not null', 'When the button was pressed.'],
      ended_at: ['timestamptz', 'When it ended.'],
    },
    indexes: [
      `create unique index connect_attempts_one on steward.connect_attempts (link_id) where state in ('started', 'returned')`,
    ],
  },
  {
    name: 'steward.candidates',
    comment: 'What an attempt brought: a grant that may become the one in use.',
    columns: {
      id: ['uuid primary key', 'Id of the candidate.'],
      connection_id: ['uuid not null references steward.org_connections (id)', 'What it would connect.'],
      link_id: ['uuid references steward.connect_links (id)', 'The link it came through.'],
      attempt_id: ['uuid references steward.connect_attempts (id)', 'The attempt it came through.'],
      grant_id: ['uuid references steward.grants (id)', 'The grant; null while Zoom does not say who consented.'],
      state: [
        `text not null check (state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation', 'adopted', 'failed', 'expired', 'cancelled', 'superseded'))`,
        'State.',
      ],
      sealed_access: ['text', 'Access token while unidentified, sealed.'],
      sealed_refresh: ['text', 'Refresh token while unidentified, sealed.'],
      token_facts: ['jsonb', 'Scopes, expiry and API base while unidentified; never a token.'],
      approver_is_issuer: ['boolean not null default false', 'Whether the issuer approved in their own session.'],
      approver_email: ['text', 'Address of the Zoom user who approved.'],
      verdict: ['jsonb', 'Last verdict: {"result", "missing" | "reason"}.'],
      found: ['jsonb', '{"zoomUsers", "members", "matched"} for the confirmation.'],
      confirm_reason: ['text', 'Why a person must confirm; null if the rule confirmed.'],
      confirmed_by: ['text', 'Who confirmed: rule, or an actor.'],
      expires_at: ['timestamptz not null', 'End: 24 h for a verdict, 72 h for a confirmation.'],
      look_due_at: [
        'timestamptz',
        'When the next look is due, so that a lost job is noticed; null once nothing is to be looked at.',
      ],
      created_at: ['timestamptz not null', 'When the code was exchanged.'],
      ended_at: ['timestamptz', 'When it ended.'],
    },
    indexes: [
      `create index candidates_open on steward.candidates (connection_id) where state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation')`,
      `create index candidates_grant on steward.candidates (grant_id)`,
    ],
  },
];

const directory: TableSpec[] = [
  {
    name: 'steward.directories',
    comment: 'The copy of the users of a Zoom account, shared by every organization on it.',
    columns: {
      zoom_account_id: ['text primary key', 'The account.'],
      synced_at: [
        'timestamptz',
        'Start of the walk that last replaced the copy: every user of that moment is in it; null: never.',
      ],
      users: ['integer not null default 0', 'Users in the copy.'],
      walk_id: ['uuid', 'Walk under way.'],
      walk_lease_until: ['timestamptz', 'Lease of that walk.'],
      walk_status: ['text', 'State being listed: active, inactive or pending.'],
      walk_page_token: ['text', 'Where the next page starts; lives 15 minutes.'],
      walk_started_at: ['timestamptz', 'When the walk under way began.'],
      blocked_until: ['timestamptz', "No call before: Zoom's limit, honoured by everybody."],
      refused: ['jsonb', 'Why the last walk did not replace the copy.'],
    },
  },
  {
    name: 'steward.directory_users',
    comment: 'Users of a Zoom account as last seen.',
    columns: {
      zoom_account_id: ['text not null', 'The account.'],
      user_key: ['text not null', "Zoom user id, or 'pending:' and the address key: pending users have no id."],
      zoom_user_id: ['text', 'Zoom user id; null while pending.'],
      address_key: ['text not null', 'steward.address_key of the address.'],
      status: [`text not null check (status in ('active', 'inactive', 'pending'))`, 'Status at Zoom.'],
      user_type: ['smallint not null', '1 basic, 2 licensed, 4 unassigned, 99 none.'],
      duplicate: ['boolean not null default false', 'Whether another user of the account has the same address key.'],
      walk_id: ['uuid', 'Walk that saw it last.'],
      seen_at: ['timestamptz not null', 'When it was last seen.'],
    },
    constraints: ['primary key (zoom_account_id, user_key)'],
    indexes: ['create index directory_users_address on steward.directory_users (zoom_account_id, address_key)'],
  },
  {
    name: 'steward.directory_staging',
    comment: 'Users seen by a walk under way; swapped in when it is complete.',
    columns: {
      walk_id: ['uuid not null', 'The walk.'],
      user_key: ['text not null', 'As in directory_users.'],
      zoom_user_id: ['text', 'As in directory_users.'],
      address_key: ['text not null', 'As in directory_users.'],
      status: ['text not null', 'As in directory_users.'],
      user_type: ['smallint not null', 'As in directory_users.'],
    },
    constraints: ['primary key (walk_id, user_key)'],
  },
  {
    name: 'steward.directory_lookups',
    comment: 'Addresses looked up singly and not found, so that a joiner is not checking for ever.',
    columns: {
      zoom_account_id: ['text not null', 'The account.'],
      address_key: ['text not null', 'The address.'],
      looked_up_at: ['timestamptz not null', 'When Zoom said there is no such user.'],
    },
    constraints: ['primary key (zoom_account_id, address_key)'],
  },
];

const reconciliation: TableSpec[] = [
  {
    name: 'steward.member_facts',
    comment:
      'What the rule needs to know of a member, decided when the member, a personal connection, the settings or the directory change.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      member_id: ['uuid not null', 'The member.'],
      active: ['boolean not null', 'The member is not deactivated; who left the organization has no row here.'],
      in_rollout: ['boolean not null', 'Rollout of the organization includes the member.'],
      opted_out: ['boolean not null', 'The member opted out (counts only while allowed).'],
      personal: [
        `text not null check (personal in ('none', 'usable', 'broken', 'disconnected'))`,
        'Personal connection, managed or external.',
      ],
      address_key: ['text', 'steward.address_key of the verified address; null if not verified.'],
      address_since: ['timestamptz', 'When this address was first seen here.'],
      match: [
        `text not null check (match in ('mapping', 'email', 'ambiguous', 'none', 'not_verified', 'checking'))`,
        'How the Zoom user was found, or why not.',
      ],
      zoom_user_key: [
        'text',
        'Key of the matched directory user; holds until that user is gone or the address is of another member.',
      ],
      zoom_status: ['text', 'Status of the matched user.'],
      zoom_type: ['smallint', 'Type of the matched user.'],
    },
    constraints: ['primary key (organization_id, member_id)'],
    with: 'fillfactor = 90',
    indexes: [
      // Asked for one value at a time, and written with every fact: a hash costs a fan-out half of what a tree of texts does.
      'create index member_facts_address on steward.member_facts using hash (address_key) where address_key is not null',
      'create index member_facts_zoom_user on steward.member_facts using hash (zoom_user_key) where zoom_user_key is not null',
      // A member who was deleted or moved is found here, and only here, by id alone.
      'create index member_facts_member on steward.member_facts (member_id)',
    ],
  },
  {
    name: 'steward.member_connections',
    comment:
      'Stored result of the rule for each member: for lists, counts, notices and history. Never read to decide who serves.',
    columns: {
      organization_id: ['uuid not null', 'The organization.'],
      member_id: ['uuid not null', 'The member.'],
      effective: [
        `text not null check (effective in ('personal', 'organization', 'none'))`,
        'The connection that serves the member.',
      ],
      reason: [
        `text not null check (reason in ('personal', 'organization', 'personal_broken_organization', 'member_inactive', 'personal_broken', 'opted_out', 'not_in_rollout', 'organization_disconnected', 'personal_disconnected', 'never_connected'))`,
        'The rule that decided.',
      ],
      hosting: [
        `text not null check (hosting in ('can_host', 'no_zoom_user', 'zoom_user_pending', 'zoom_user_inactive', 'no_meeting_licence', 'email_not_verified', 'ambiguous_match', 'checking', 'interrupted', 'no_connection'))`,
        'Whether the member can host through it now.',
      ],
      zoom_user_id: ['text', 'Zoom user the member hosts as through the organization.'],
      basic_plan: ['boolean not null default false', 'Hosts as a basic Zoom user: 40 minutes.'],
      shared_host: ['boolean not null default false', 'Hosts through the shared host.'],
      changed_at: ['timestamptz not null', 'When the result last changed.'],
      run_id: ['uuid', 'Run that wrote it.'],
    },
    constraints: ['primary key (organization_id, member_id)'],
    with: 'fillfactor = 80',
  },
  {
    name: 'steward.archived_locations',
    comment: 'Stored copies of Zoom locations that were taken away, from which they can be restored.',
    columns: {
      id: ['uuid primary key', 'Id of the copy.'],
      organization_id: ['uuid not null', 'The organization.'],
      event_type_id: ['uuid not null', 'The event type.'],
      adapter: [`text not null check (adapter in ('rows', 'json'))`, 'Where it came from.'],
      place: ['integer not null', 'rows: position; json: index in the array, from 0.'],
      content: ['jsonb not null', 'rows: the whole row; json: the whole element.'],
      neighbours: [
        'text not null',
        "Fingerprint of the locations that were left, what we inserted included, to see later edits; 'superseded' once Zoom was there again.",
      ],
      cause: [
        `text not null check (cause in ('member_inactive', 'opted_out', 'not_in_rollout', 'organization_disconnected', 'personal_disconnected'))`,
        'Why nothing served it any more.',
      ],
      offered: ['boolean not null', 'true: returns only when a person accepts; false: by itself.'],
      generation: ['bigint not null', 'Generation of the connection when it was removed.'],
      run_id: ['uuid not null', 'Run that removed it.'],
      archived_at: ['timestamptz not null', 'When.'],
      expires_at: ['timestamptz not null', 'Until when it can be restored.'],
      accepted_at: ['timestamptz', 'When a person accepted the offer for this one.'],
      fallback: ['jsonb', 'What we inserted instead: the whole row or element; null if nothing.'],
    },
    indexes: [
      'create index archived_locations_organization on steward.archived_locations (organization_id, event_type_id)',
      'create index archived_locations_expiry on steward.archived_locations (expires_at)',
    ],
  },
  {
    name: 'steward.event_type_flags',
    comment: 'Event types that were left without any location.',
    columns: {
      event_type_id: ['uuid primary key', 'The event type.'],
      organization_id: ['uuid not null', 'The organization.'],
      needs_location_since: ['timestamptz not null', 'Since when.'],
      run_id: ['uuid not null', 'Run that left it so.'],
    },
    indexes: [
      'create index event_type_flags_organization on steward.event_type_flags (organization_id, event_type_id)',
    ],
  },
  {
    name: 'steward.untold_location_changes',
    comment:
      'Event types whose Zoom locations a chunk of a run took or brought back, until the owners are told: one event an owner at the end of a run. One row a chunk and change; the arrays run in step.',
    columns: {
      id: ['bigint generated always as identity primary key', 'Order of writing.'],
      organization_id: ['uuid not null', 'The organization.'],
      run_id: ['uuid not null', 'Run that changed them.'],
      change: [`text not null check (change in ('removed', 'restored'))`, 'What happened.'],
      event_type_ids: ['uuid[] not null', 'The event types.'],
      owner_member_ids: [
        'uuid[] not null',
        'Their owners, assignees or organizers; null for round robin and templates without owner.',
      ],
      locations: ['integer[] not null', 'Zoom locations concerned.'],
      causes: ['text[] not null', 'Why they were removed; null for restored ones.'],
      needs_location: ['boolean[] not null', 'Whether nothing was left.'],
    },
    indexes: ['create index untold_location_changes_run on steward.untold_location_changes (organization_id, run_id)'],
  },
  {
    name: 'steward.runs',
    comment: 'Reconciliations of a target: cause, actor, plan, progress, result.',
    columns: {
      id: ['uuid primary key', 'Id of the run.'],
      target: [`text not null check (target in ('organization', 'member', 'event_type'))`, 'What is reconciled.'],
      organization_id: ['uuid not null', 'The organization.'],
      target_id: ['uuid not null', 'Id of the target.'],
      connection_id: ['uuid', 'Org connection whose generation fences the run.'],
      generation: ['bigint not null', 'Generation it works under.'],
      cause: ['text not null', 'What asked for it: activated, disconnect, member_changed, schedule …'],
      actor: ['text not null', 'Who asked: member:ID, operator:NAME, app, schedule.'],
      cascade: ['boolean not null default false', 'Whether it ends a disconnect.'],
      state: [
        `text not null check (state in ('queued', 'running', 'done', 'superseded', 'held', 'failed'))`,
        'held: the guard rail asks a person.',
      ],
      phase: [
        `text not null default 'facts' check (phase in ('facts', 'members', 'locations', 'bookings', 'finish', 'done'))`,
        'What the cursor counts.',
      ],
      cursor: ['uuid', 'Last key that was worked on in this phase; null at its start.'],
      progress: [`jsonb not null default '{}'`, 'Per phase {"done", "total"}.'],
      counts: [`jsonb not null default '{}'`, 'What was written, by category.'],
      plan: ['jsonb', 'Counts and examples computed before, where somebody asked for them.'],
      approved_by: ['text', 'Who let it pass the guard rail.'],
      superseded_by: ['uuid', 'Run that took over.'],
      error: ['text', 'Why it failed.'],
      lease_token: ['uuid', 'Holder of the slice under way.'],
      lease_until: ['timestamptz', 'Heartbeat: after it anybody may take over.'],
      created_at: ['timestamptz not null', 'When it was written.'],
      started_at: ['timestamptz', 'When the first chunk began.'],
      ended_at: ['timestamptz', 'When it ended.'],
    },
    with: 'fillfactor = 50',
    indexes: [
      `create unique index runs_open on steward.runs (organization_id) where target = 'organization' and state in ('queued', 'running', 'held')`,
      'create index runs_organization on steward.runs (organization_id, created_at desc)',
      'create index runs_target on steward.runs (target_id, created_at desc)',
      `create index runs_lease on steward.runs (lease_until) where state in ('queued', 'running')`,
    ],
  },
];

const telling: TableSpec[] = [
  {
    name: 'steward.outbox',
    comment: 'What was said in a transaction and must reach the queue: written with the data, moved by the relay.',
    columns: {
      id: ['bigint generated always as identity primary key', 'Order of writing; gaps and late commits are normal.'],
      job: ['text not null', 'Name of the job.'],
      key: ['text not null', 'What it is about; equal keys wait as one.'],
      payload: [`jsonb not null default '{}'`, 'Payload of the job: ids and scalars.'],
      trace: ['jsonb', 'Trace context of whoever said it.'],
      created_at: ['timestamptz not null default now()', 'When it was said.'],
      available_at: ['timestamptz not null default now()', 'Not before.'],
      lease_token: ['uuid', 'Relay that is moving it.'],
      lease_until: ['timestamptz', 'End of that lease.'],
      attempts: ['integer not null default 0', 'How often a relay tried.'],
    },
    with: 'fillfactor = 70',
    indexes: ['create index outbox_available on steward.outbox (available_at, id)'],
  },
  {
    name: 'steward.events',
    comment: 'What the main app is told, at least once, ordered within an organization.',
    columns: {
      seq: [
        'bigint generated always as identity primary key',
        'Cursor; commits may be late, readers use steward.read_events.',
      ],
      organization_id: ['uuid not null', 'The organization.'],
      type: ['text not null', 'Kind of event, e.g. connection.activated.'],
      subject_id: ['uuid', 'Member, event type, connection or run it is about.'],
      data: [`jsonb not null default '{}'`, 'Facts; never a token, code or signature.'],
      created_at: ['timestamptz not null', 'When it happened.'],
      delivered_at: ['timestamptz', 'When the main app took it.'],
      xid: [
        'xid8 not null default pg_current_xact_id()',
        'Writing transaction, so that readers never pass an uncommitted one.',
      ],
    },
    indexes: [
      'create index events_organization on steward.events (organization_id, seq)',
      'create index events_undelivered on steward.events (seq) where delivered_at is null',
    ],
  },
  {
    name: 'steward.audit_log',
    comment: 'Who did what and why, with counts.',
    columns: {
      id: ['bigint generated always as identity primary key', 'Order of writing.'],
      organization_id: ['uuid', 'The organization; null for what concerns all.'],
      actor: ['text not null', 'member:ID, operator:NAME, app, zoom, schedule.'],
      action: ['text not null', 'What was done.'],
      reason: ['text', 'Why.'],
      subject_id: ['uuid', 'What it was done to.'],
      data: [`jsonb not null default '{}'`, 'Counts and facts; never a token, code or signature.'],
      at: ['timestamptz not null', 'When.'],
    },
    indexes: ['create index audit_log_organization on steward.audit_log (organization_id, id)'],
  },
  {
    name: 'steward.meetings',
    comment: 'Meetings made through the worker: which connection may change them.',
    columns: {
      id: ['uuid primary key', 'The meeting reference given to the main app.'],
      organization_id: ['uuid not null', 'The organization.'],
      member_id: ['uuid not null', 'Member who hosts.'],
      connection_kind: [
        `text not null check (connection_kind in ('organization', 'personal'))`,
        'Which kind of connection made it.',
      ],
      connection_id: ['uuid not null', 'Connection that made it.'],
      zoom_account_id: ['text not null', 'Zoom account it lives on.'],
      zoom_user_id: ['text not null', 'Zoom user who hosts.'],
      zoom_meeting_id: ['text not null', 'Meeting at Zoom.'],
      created_at: ['timestamptz not null', 'When.'],
      deleted_at: ['timestamptz', 'When it was deleted through us.'],
    },
    indexes: ['create index meetings_connection on steward.meetings (connection_id)'],
  },
  {
    name: 'steward.api_keys',
    comment: 'Service keys of the main app; only hashes.',
    columns: {
      id: ['uuid primary key', 'Id of the key.'],
      name: ['text not null', 'What it is for.'],
      key_hash: ['bytea not null unique', 'SHA-256 of the key.'],
      capabilities: [
        'text[] not null',
        'facts:write, connections:read, meetings:write, act-as, audit:read, credentials:raw.',
      ],
      organization_id: ['uuid', 'Only for this organization; null: all.'],
      created_at: ['timestamptz not null default now()', 'When.'],
      revoked_at: ['timestamptz', 'When it was withdrawn.'],
    },
  },
  {
    name: 'steward.used_claims',
    comment: 'Ids of member claims that were accepted, so that none is accepted twice.',
    columns: {
      id: ['text primary key', 'Id of the claim (jti).'],
      expires_at: ['timestamptz not null', 'When the claim could not be accepted any more.'],
    },
    indexes: ['create index used_claims_expiry on steward.used_claims (expires_at)'],
  },
];

const tables = [...settings, ...grants, ...connections, ...directory, ...reconciliation, ...telling];

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('create schema if not exists steward').execute(db);
  for (const table of tables) for (const statement of createTable(table)) await sql.raw(statement).execute(db);
  await sql.raw('insert into steward.clock default values').execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of [...tables].reverse()) await sql.raw(`drop table ${table.name} cascade`).execute(db);
}
