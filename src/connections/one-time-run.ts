import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { startOrganizationRun } from '../db/run-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { type Asker, actorOf, assertMayManage, lockConnection } from './authority.ts';
import { dropOneTimeRun } from './drop-one-time-run.ts';
import { findConnectionId } from './settings.ts';

/** An order to put Zoom into the event types that were there before the setting, or to take that back. */
export type OneTimeRun = {
  readonly id: string;
  /** the one-time run whose additions go; null: this one adds */
  readonly undoes: string | null;
  /** dropped: ended before its end, with the setting, the connection or another order */
  readonly state: 'open' | 'done' | 'dropped';
  /** event types given Zoom, or taken back; of an open one that adds: 0 until it ends */
  readonly eventTypes: number;
  /** of one that undoes, at its end: additions that somebody edited, and that stay */
  readonly kept: number | null;
  readonly actor: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
};

/** One-time runs of an organization, the newest first. */
export async function listOneTimeRuns(db: Database, organizationId: string, limit = 20): Promise<OneTimeRun[]> {
  const { rows } = await sql<OneTimeRun>`
    select id, undoes, state, event_types as "eventTypes", kept, actor, created_at as "createdAt", ended_at as "endedAt"
      from steward.one_time_runs where organization_id = ${organizationId} order by created_at desc, id limit ${limit}`.execute(
    db,
  );
  return rows;
}

export type OneTimeOrder = {
  readonly organizationId: string;
  readonly asker: Asker;
};

/** What was ordered, and the run of the organization that begins with it. */
export type Ordered = { readonly oneTimeRunId: string; readonly runId: string };

/**
 * An owner or admin, or an operator with a reason, lets Zoom be put into the event types that were there before
 * `zoom_for_new_event_types` (behaviour §5). Needs the setting on, an active connection that is not only observed, and the
 * generation of the preview. The order is carried out by the organization's runs; nothing is added here.
 * @throws StewardError `stale_preview`, `setting_off`, `connection_not_active`, `observed_only`, `one_time_run_open`
 */
export async function orderOneTimeRun(
  trx: Transaction<DB>,
  { organizationId, asker, generation }: OneTimeOrder & { readonly generation: number },
): Promise<Ordered> {
  const connection = await lockOf(trx, organizationId, asker);
  if (connection.generation !== generation)
    throw new StewardError(
      'stale_preview',
      `The preview is of generation ${generation}, the connection is at ${connection.generation}; look at a new preview and confirm that.`,
      { context: { organizationId, generation: connection.generation } },
    );
  const on =
    await sql`select from steward.organization_settings where organization_id = ${organizationId} and zoom_for_new_event_types`.execute(
      trx,
    );
  if (on.rows.length === 0)
    throw new StewardError(
      'setting_off',
      'Expected Zoom for new event types to be on, it is off; turn it on first. Nothing was changed.',
    );
  if (connection.state !== 'active')
    throw new StewardError(
      'connection_not_active',
      `Expected an active connection, it is ${connection.state}; nobody could host. Nothing was changed.`,
    );
  const open = await findOpen(trx, organizationId);
  if (open)
    throw new StewardError(
      'one_time_run_open',
      'Expected no one-time run under way, one is; wait for its end. Nothing was changed.',
      { context: { organizationId, oneTimeRunId: open.id } },
    );
  return order(trx, { connection, asker, undoes: null });
}

/**
 * The same people take back what a one-time run added, where nobody edited it since; one that is under way stops. Asked
 * again while the undo is under way: the same answer.
 * @throws StewardError `one_time_run_unknown`, `one_time_run_open`, `observed_only`
 */
export async function undoOneTimeRun(
  trx: Transaction<DB>,
  { organizationId, asker, oneTimeRunId }: OneTimeOrder & { readonly oneTimeRunId: string },
): Promise<Ordered> {
  const connection = await lockOf(trx, organizationId, asker);
  const { rows: known } = await sql<{ undoes: string | null }>`
    select undoes from steward.one_time_runs where id = ${oneTimeRunId} and organization_id = ${organizationId}`.execute(
    trx,
  );
  if (known[0]?.undoes !== null)
    throw new StewardError(
      'one_time_run_unknown',
      'Expected a one-time run of the organization that added Zoom, found none; look at the list of them.',
      { context: { organizationId, oneTimeRunId } },
    );
  const before = await findOpen(trx, organizationId);
  if (before?.undoes === oneTimeRunId && before.runId) return { oneTimeRunId: before.id, runId: before.runId };
  if (before && before.undoes !== null && before.undoes !== oneTimeRunId)
    throw new StewardError(
      'one_time_run_open',
      'Expected no other undo under way, one is; wait for its end. Nothing was changed.',
      { context: { organizationId, oneTimeRunId: before.id } },
    );
  await dropOneTimeRun(trx, organizationId);
  // The same undo whose run was lost begins anew.
  await sql`
    update steward.one_time_runs set state = 'dropped', ended_at = steward.now()
     where organization_id = ${organizationId} and state = 'open'`.execute(trx);
  return order(trx, { connection, asker, undoes: oneTimeRunId });
}

/** The order that is under way, and the run that carries it out. */
async function findOpen(trx: Transaction<DB>, organizationId: string) {
  const { rows } = await sql<{ id: string; undoes: string | null; runId: string | null }>`
    select o.id, o.undoes, (select r.id from steward.runs r where r.organization_id = o.organization_id and r.target = 'organization'
                             and r.state in ('queued', 'running', 'held')) as "runId"
      from steward.one_time_runs o where o.organization_id = ${organizationId} and o.state = 'open'`.execute(trx);
  return rows[0];
}

type Locked = Awaited<ReturnType<typeof lockConnection>>;

async function lockOf(trx: Transaction<DB>, organizationId: string, asker: Asker): Promise<Locked> {
  const connectionId = await findConnectionId(trx, organizationId);
  if (connectionId === null)
    throw new StewardError('connection_not_active', 'Expected a connection of the organization, it never had one.', {
      context: { organizationId },
    });
  const connection = await lockConnection(trx, connectionId);
  await assertMayManage(trx, organizationId, asker);
  const observed = await sql`select from steward.switches where name = 'observe_only'`.execute(trx);
  if (connection.observe || observed.rows.length > 0)
    throw new StewardError(
      'observed_only',
      'The organization is only observed: nothing is written. Apply it first (zoom-steward reconcile ORG --apply).',
      { context: { organizationId } },
    );
  return connection;
}

async function order(
  trx: Transaction<DB>,
  { connection, asker, undoes }: { connection: Locked; asker: Asker; undoes: string | null },
): Promise<Ordered> {
  const { organization_id: organizationId, generation } = connection;
  const actor = actorOf(asker);
  const id = randomUUID();
  await sql`
    insert into steward.one_time_runs (id, organization_id, undoes, state, actor, generation, created_at)
    values (${id}, ${organizationId}, ${undoes}, 'open', ${actor}, ${generation}, steward.now())`.execute(trx);
  const cause = undoes === null ? 'one_time_run' : 'one_time_run_undone';
  const runId = await startOrganizationRun(trx, { connectionId: connection.id, cause, actor });
  await insertAudit(trx, {
    organizationId,
    actor,
    action: undoes === null ? 'event_types.one_time_run_ordered' : 'event_types.one_time_run_undone',
    subjectId: undoes ?? id,
    data: { oneTimeRunId: id, runId, generation },
    ...('operator' in asker ? { reason: asker.reason } : {}),
  });
  return { oneTimeRunId: id, runId };
}
