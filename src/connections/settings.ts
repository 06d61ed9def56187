import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { applyTransition } from './apply-transition.ts';
import { type Asker, actorOf, assertMayManage, lockConnection } from './authority.ts';
import { assertConfirmed, type Confirmation } from './confirmed-loss.ts';
import { dropOneTimeRun } from './drop-one-time-run.ts';

/** Settings of an organization (behaviour §5). */
export type OrganizationSettings = {
  readonly allowOptOut: boolean;
  /** new event types start with Zoom; those that were there before are not touched */
  readonly zoomForNewEventTypes: boolean;
  readonly meetingSummary: boolean;
  readonly rollout: 'all' | 'groups' | 'domains';
  /** groups served, when rollout is groups */
  readonly rolloutGroups: readonly string[];
  /** e-mail domains served, when rollout is domains; as addresses are compared: ASCII, small letters */
  readonly rolloutDomains: readonly string[];
  /** what a removal leaves where Zoom was the only location; null leaves nothing */
  readonly fallbackLocation: { readonly kind: string; readonly details?: Readonly<Record<string, unknown>> } | null;
  /** Zoom user who hosts for members without one */
  readonly sharedHost: string | null;
  /** days from the notice of an interruption to the automatic disconnect; null: never */
  readonly reconnectDays: number | null;
  readonly archiveDays: number;
};

export type SettingsChange = Partial<OrganizationSettings>;

export type ChangeRequest = {
  readonly organizationId: string;
  readonly changes: SettingsChange;
  readonly asker: Asker;
  /** what a change that may take Zoom from somebody needs: the generation of the preview, and the name typed */
  readonly confirm?: Confirmation;
};

export type ChangedSettings = {
  readonly settings: OrganizationSettings;
  /** names of what is otherwise than before */
  readonly changed: readonly (keyof OrganizationSettings)[];
  readonly generation: number;
  /** the run that brings stored rows up to date, if it matters who is served */
  readonly runId: string | null;
};

const defaults: OrganizationSettings = {
  allowOptOut: false,
  zoomForNewEventTypes: false,
  meetingSummary: false,
  rollout: 'all',
  rolloutGroups: [],
  rolloutDomains: [],
  fallbackLocation: null,
  sharedHost: null,
  reconnectDays: 14,
  archiveDays: 90,
};

/** What decides who is served, and as whom: generation + 1 and a run. */
const serving = ['allowOptOut', 'rollout', 'rolloutGroups', 'rolloutDomains', 'sharedHost'] as const;

/** The settings as they are; an organization that never changed any has the defaults. */
export async function readSettings(db: Database, organizationId: string): Promise<OrganizationSettings> {
  const { rows } = await sql<OrganizationSettings>`
    select allow_opt_out as "allowOptOut", zoom_for_new_event_types as "zoomForNewEventTypes", meeting_summary as "meetingSummary", rollout, rollout_groups as "rolloutGroups",
           rollout_domains as "rolloutDomains", fallback_location as "fallbackLocation", shared_host_zoom_user_id as "sharedHost",
           reconnect_days as "reconnectDays", archive_days as "archiveDays"
      from steward.organization_settings where organization_id = ${organizationId}`.execute(db);
  return rows[0] ?? defaults;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const includesAll = (all: readonly string[], some: readonly string[]): boolean =>
  some.every((one) => all.includes(one));

/** Whether nobody can lose Zoom by this change: then it needs no confirmation. */
export function onlyWidens(before: OrganizationSettings, after: OrganizationSettings): boolean {
  if (after.allowOptOut && !before.allowOptOut) return false;
  if (before.sharedHost !== null && before.sharedHost !== after.sharedHost) return false;
  if (after.rollout === 'all') return true;
  if (before.rollout !== after.rollout) return false;
  return after.rollout === 'groups'
    ? includesAll(after.rolloutGroups, before.rolloutGroups)
    : includesAll(after.rolloutDomains, before.rolloutDomains);
}

/**
 * The settings as they would be: domains as addresses are compared, and everything checked.
 * @throws StewardError `settings_invalid`
 */
export async function mergeSettings(
  db: Database,
  organizationId: string,
  changes: SettingsChange,
): Promise<{ readonly before: OrganizationSettings; readonly after: OrganizationSettings }> {
  const before = await readSettings(db, organizationId);
  const merged = { ...before, ...changes };
  const { rows } = await sql<{
    domains: string[];
    blank: boolean;
    strangers: number;
    fallback: boolean;
    host: boolean;
  }>`
    select coalesce(d.domains, '{}') as domains, coalesce(d.blank, false) as blank,
           (select count(*)::int from unnest(${[...merged.rolloutGroups]}::uuid[]) g
             where not exists (select from steward_app.groups a where a.id = g and a.organization_id = ${organizationId})) as strangers,
           ${merged.fallbackLocation === null} or steward.usable_fallback(${JSON.stringify(merged.fallbackLocation)}::jsonb) is not null as fallback,
           ${merged.sharedHost}::text is null or ${merged.sharedHost}::text is not distinct from ${before.sharedHost}::text
             or exists (select from steward.org_connections c join steward.directory_users u using (zoom_account_id)
                         where c.organization_id = ${organizationId} and u.zoom_user_id = ${merged.sharedHost}::text
                           and u.status = 'active' and u.user_type in (1, 2)) as host
      from (select array_agg(distinct domain order by domain) as domains, bool_or(domain = '') as blank
              from (select split_part(steward.address_key('x@' || trim(leading '@' from trim(given))), '@', 2)
                      from unnest(${[...merged.rolloutDomains]}::text[]) given) g (domain)) d`.execute(db);
  const { domains, blank, strangers, fallback, host } = rows[0] as (typeof rows)[0] & object;
  const after: OrganizationSettings = { ...merged, rolloutDomains: domains };
  const problems = [
    ...(strangers > 0 ? [`rolloutGroups: expected groups of the organization, got ${strangers} others`] : []),
    ...(blank ? ['rolloutDomains: expected domains like acme.com'] : []),
    ...(after.rollout === 'groups' && after.rolloutGroups.length === 0 ? ['rolloutGroups: expected at least one'] : []),
    ...(after.rollout === 'domains' && domains.length === 0 ? ['rolloutDomains: expected at least one'] : []),
    ...(fallback ? [] : ['fallbackLocation: expected a kind of location that is not Zoom']),
    ...(host ? [] : ['sharedHost: expected an active Zoom user of the connected account who can host']),
    ...(after.reconnectDays === null || inRange(after.reconnectDays, 60)
      ? []
      : ['reconnectDays: expected 1 to 60, or never']),
    ...(inRange(after.archiveDays, 3_650) ? [] : ['archiveDays: expected 1 to 3650']),
  ];
  if (problems.length > 0)
    throw new StewardError('settings_invalid', `Nothing was changed. ${problems.join('; ')}.`, {
      context: { organizationId },
    });
  return { before, after };
}

const inRange = (days: number, most: number): boolean => Number.isInteger(days) && days >= 1 && days <= most;

/** What a plan must assume to show these settings. */
export async function assumedBy(db: Database, organizationId: string, settings: OrganizationSettings) {
  const { rows } = await sql<{ type: number }>`
    select u.user_type as type from steward.org_connections c join steward.directory_users u using (zoom_account_id)
     where c.organization_id = ${organizationId} and u.zoom_user_id = ${settings.sharedHost} and u.status = 'active'`.execute(
    db,
  );
  const { allowOptOut, rollout, rolloutGroups, rolloutDomains, sharedHost } = settings;
  const sharedHostType = rows[0]?.type ?? null;
  return {
    allowOptOut,
    rollout,
    rolloutGroups,
    rolloutDomains,
    sharedHost: sharedHostType === null ? null : sharedHost,
    sharedHostType,
  };
}

/**
 * What is new is new to the setting as it was turned on: event types of before, and of a time when it was off, are not. By the
 * database's own clock, as the main app's `created_at` is.
 */
const sinceWhenNew = (before: OrganizationSettings, after: OrganizationSettings) =>
  after.zoomForNewEventTypes && !before.zoomForNewEventTypes ? sql`clock_timestamp()` : sql`null::timestamptz`;

/** The organization's connection, whatever its state; null: it never asked for Zoom. */
export async function findConnectionId(db: Database, organizationId: string): Promise<string | null> {
  const row = await db
    .selectFrom('steward.org_connections')
    .select('id')
    .where('organization_id', '=', organizationId)
    .executeTakeFirst();
  return row?.id ?? null;
}

/**
 * An owner or admin, or an operator with a reason, changes settings (behaviour §5, lifecycle §2). What affects who is
 * served raises the generation and writes its run, in this transaction. What may take Zoom from somebody needs the generation
 * of its preview – an older one is refused as stale_preview – and the organization's name typed. The same again changes
 * nothing.
 */
export async function changeSettings(trx: Transaction<DB>, request: ChangeRequest): Promise<ChangedSettings> {
  const { organizationId, asker, confirm } = request;
  const found = await findConnectionId(trx, organizationId);
  const connection = found ? await lockConnection(trx, found) : null;
  if (!connection)
    await sql`select pg_advisory_xact_lock(hashtextextended(${`settings:${organizationId}`}, 0))`.execute(trx);
  await assertMayManage(trx, organizationId, asker);
  const { before, after } = await mergeSettings(trx, organizationId, request.changes);
  const names = Object.keys(defaults) as (keyof OrganizationSettings)[];
  const changed = names.filter((name) => !same(before[name], after[name]));
  const unchanged = { settings: after, changed, generation: connection?.generation ?? 0, runId: null };
  if (changed.length === 0) return unchanged;
  const served = serving.some((name) => changed.includes(name));
  const serves = connection?.state === 'active' || connection?.state === 'interrupted';
  if (served && serves && !onlyWidens(before, after))
    await assertConfirmed(trx, { organizationId, generation: connection.generation, confirm });
  await sql`
    insert into steward.organization_settings (organization_id, allow_opt_out, zoom_for_new_event_types, new_event_types_since, meeting_summary, rollout, rollout_groups,
      rollout_domains, fallback_location, shared_host_zoom_user_id, reconnect_days, archive_days, updated_at)
    values (${organizationId}, ${after.allowOptOut}, ${after.zoomForNewEventTypes}, ${sinceWhenNew(before, after)}, ${after.meetingSummary}, ${after.rollout}, ${[...after.rolloutGroups]}::uuid[],
      ${[...after.rolloutDomains]}::text[], ${after.fallbackLocation === null ? null : JSON.stringify(after.fallbackLocation)}::jsonb,
      ${after.sharedHost}, ${after.reconnectDays}, ${after.archiveDays}, steward.now())
    on conflict (organization_id) do update
       set (allow_opt_out, zoom_for_new_event_types, new_event_types_since, meeting_summary, rollout, rollout_groups, rollout_domains, fallback_location, shared_host_zoom_user_id,
            reconnect_days, archive_days, updated_at)
         = (excluded.allow_opt_out, excluded.zoom_for_new_event_types,
            case when ${after.zoomForNewEventTypes && before.zoomForNewEventTypes} then organization_settings.new_event_types_since
                 else excluded.new_event_types_since end, excluded.meeting_summary, excluded.rollout, excluded.rollout_groups, excluded.rollout_domains,
            excluded.fallback_location, excluded.shared_host_zoom_user_id, excluded.reconnect_days, excluded.archive_days, excluded.updated_at)`.execute(
    trx,
  );
  if (!after.zoomForNewEventTypes) await dropOneTimeRun(trx, organizationId);
  const data = { before: pick(before, changed), after: pick(after, changed) };
  const why = 'operator' in asker ? { reason: asker.reason } : {};
  if (!connection) {
    await insertAudit(trx, { organizationId, actor: actorOf(asker), action: 'settings.changed', data, ...why });
    return unchanged;
  }
  const result = await applyTransition(trx, {
    connectionId: connection.id,
    event: served ? 'served_changed' : 'settings_changed',
    actor: actorOf(asker),
    cause: 'settings_changed',
    data,
    ...why,
  });
  if (result.outcome === 'refused')
    throw new StewardError('connection_moved', 'The connection changed meanwhile; read it again and try again.');
  return { settings: after, changed, generation: result.generation, runId: result.runId };
}

const pick = (settings: OrganizationSettings, names: readonly (keyof OrganizationSettings)[]) =>
  Object.fromEntries(names.map((name) => [name, settings[name]]));
