/** What members of an organization have; `none` also stands for disconnected (lifecycle §1). */
export type ConnectionState = 'none' | 'pending' | 'active' | 'interrupted' | 'disconnecting';

/** Everything that can happen to an org connection; each is a row, or a part of a row, of lifecycle §2. */
export type ConnectionEvent =
  | 'link_made'
  | 'last_link_ended'
  | 'issuer_lost_rights'
  | 'attempt_failed'
  | 'exchange_refused_for_our_app'
  | 'exchange_of_known_grant'
  | 'exchange_unidentified'
  | 'verdict_inconclusive'
  | 'verdict_failed'
  | 'verdict_confirmed'
  | 'verdict_awaiting'
  | 'verification_passed'
  | 'verification_inconclusive'
  | 'expectation_missing'
  | 'failed_first_look'
  | 'failed_second_look'
  | 'guard_closed'
  | 'deadline_passed'
  | 'deadline_inconclusive'
  | 'deadline_failed'
  | 'app_deauthorized'
  | 'vault_unreadable'
  | 'disconnect'
  | 'disconnect_stale'
  | 'cascade_finished'
  | 'cascade_stuck'
  | 'disconnect_undone'
  | 'organization_gone'
  | 'settings_changed'
  | 'served_changed'
  | 'observe_only_on';

/**
 * Where an event leads from one state: a state; `=` unchanged; `back` to none, or pending while a link or candidate
 * is open; `refused` by rule; `never`: it cannot happen there, and a late report of it changes nothing.
 */
export type Outcome = ConnectionState | '=' | 'back' | 'refused' | 'never';

/** One event: where it leads from each state, and what goes with it. */
export type Transition = {
  readonly from: Readonly<Record<ConnectionState, Outcome>>;
  /** states from which members are affected: generation + 1 and its run, in the same transaction */
  readonly run: readonly ConnectionState[];
  /** the run finds what is stored of each member as it was: only what the organization's Zoom does for them changes */
  readonly factsStand: boolean;
  /** what the main app is told, and from which states */
  readonly tells: { readonly type: string; readonly from: readonly ConnectionState[] } | null;
  /** audited even where nothing changes; changes are always audited */
  readonly audited: boolean;
  /** open links, attempts and candidates are cancelled, and an order to add Zoom to event types */
  readonly cancels: boolean;
};

type With = Partial<Omit<Transition, 'from' | 'tells'>> & { readonly tells?: readonly [string, ...ConnectionState[]] };

function row(
  none: Outcome,
  pending: Outcome,
  active: Outcome,
  interrupted: Outcome,
  disconnecting: Outcome,
  { tells, run = [], factsStand = false, audited = false, cancels = false }: With = {},
): Transition {
  const told = tells ? { type: tells[0], from: tells.slice(1) as ConnectionState[] } : null;
  return {
    from: { none, pending, active, interrupted, disconnecting },
    run,
    factsStand,
    tells: told,
    audited,
    cancels,
  };
}

const every = ['none', 'pending', 'active', 'interrupted', 'disconnecting'] as const;

/** The transitions of an org connection, as data (lifecycle §2). docs/connecting.md holds a copy written by hand. */
export const transitions: Readonly<Record<ConnectionEvent, Transition>> = {
  link_made: row('pending', '=', '=', '=', '=', { audited: true }),
  last_link_ended: row('=', 'back', '=', '=', '='),
  issuer_lost_rights: row('=', 'back', '=', '=', '=', { audited: true, tells: ['connection.link_passed', ...every] }),
  attempt_failed: row('=', '=', '=', '=', '='),
  exchange_refused_for_our_app: row('=', '=', '=', '=', '=', { audited: true }),
  exchange_of_known_grant: row('=', '=', '=', '=', '=', { audited: true }),
  exchange_unidentified: row('=', '=', '=', '=', '=', { audited: true }),
  verdict_inconclusive: row('=', '=', '=', '=', '='),
  verdict_failed: row('=', '=', '=', '=', '=', { audited: true, tells: ['connection.approval_failed', ...every] }),
  verdict_confirmed: row('active', 'active', 'active', 'active', 'active', {
    run: every,
    tells: ['connection.activated', ...every],
  }),
  verdict_awaiting: row('=', '=', '=', '=', '=', {
    audited: true,
    tells: ['connection.confirmation_wanted', ...every],
  }),
  verification_passed: row('never', 'never', '=', 'active', '=', {
    run: ['interrupted'],
    factsStand: true,
    tells: ['connection.resumed', 'interrupted'],
  }),
  verification_inconclusive: row('never', 'never', '=', '=', '='),
  expectation_missing: row('never', 'never', '=', '=', '=', {
    audited: true,
    tells: ['connection.at_risk', 'active'],
  }),
  failed_first_look: row('never', 'never', '=', '=', '=', { audited: true }),
  failed_second_look: row('never', 'never', 'interrupted', '=', '=', {
    run: ['active'],
    factsStand: true,
    tells: ['connection.interrupted', 'active'],
  }),
  guard_closed: row('never', 'never', '=', '=', '='),
  deadline_passed: row('never', 'never', 'never', 'active', 'never', {
    run: ['interrupted'],
    factsStand: true,
    tells: ['connection.resumed', 'interrupted'],
  }),
  deadline_inconclusive: row('never', 'never', 'never', '=', 'never'),
  // Facts do not stand where Zoom goes for good: the preview that was confirmed, or sent with reminders, looked at everybody.
  deadline_failed: row('never', 'never', 'never', 'disconnecting', 'never', {
    run: ['interrupted'],
    tells: ['connection.disconnecting', 'interrupted'],
    cancels: true,
  }),
  app_deauthorized: row('never', '=', '=', '=', '=', { audited: true }),
  vault_unreadable: row('never', 'never', '=', '=', '=', { audited: true }),
  disconnect: row('=', 'none', 'disconnecting', 'disconnecting', '=', {
    run: ['active', 'interrupted'],
    tells: ['connection.disconnecting', 'active', 'interrupted'],
    audited: true,
    cancels: true,
  }),
  disconnect_stale: row('refused', 'refused', 'refused', 'refused', 'refused', { audited: true }),
  // Pending where a link was made, or somebody approved, while it ran.
  cascade_finished: row('never', 'never', 'never', 'never', 'back', {
    tells: ['connection.disconnected', 'disconnecting'],
  }),
  cascade_stuck: row('never', 'never', 'never', 'never', '=', { audited: true }),
  disconnect_undone: row('active', 'active', 'never', 'never', 'active', {
    run: ['none', 'pending', 'disconnecting'],
    tells: ['connection.resumed', 'none', 'pending', 'disconnecting'],
  }),
  organization_gone: row('=', 'none', 'disconnecting', 'disconnecting', '=', {
    run: ['active', 'interrupted'],
    tells: ['connection.disconnecting', 'active', 'interrupted'],
    cancels: true,
  }),
  settings_changed: row('=', '=', '=', '=', '=', { audited: true }),
  served_changed: row('=', '=', '=', '=', '=', { run: every, audited: true }),
  observe_only_on: row('=', '=', '=', '=', '='),
};
