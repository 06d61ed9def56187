import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { startOrganizationRun } from '../db/run-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import type { FoundOrganization } from './find-organization.ts';

export type RunRequest = {
  readonly organization: FoundOrganization;
  readonly operator: string;
  readonly reason: string;
};

/** The connection of an organization, made if it never had one: stored rows of members hang on it. */
async function lockConnection(
  trx: Transaction<DB>,
  { id, name }: FoundOrganization,
): Promise<{ id: string; observe: boolean }> {
  await sql`
    insert into steward.org_connections (id, organization_id, created_at)
    select gen_random_uuid(), id, steward.now() from steward_app.organizations where id = ${id}
    on conflict (organization_id) do nothing`.execute(trx);
  const row = await trx
    .selectFrom('steward.org_connections')
    .select(['id', 'observe'])
    .where('organization_id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  if (row) return row;
  throw new StewardError(
    'organization_not_found',
    `Expected ${name} in the main app, it is gone, and nothing of it is left here.`,
  );
}

/**
 * Writes a run that an operator asked for. Saying apply ends observing: from now on runs write.
 * @returns id of the run, and whether the organization was only observed before
 */
export function startRun(
  db: Database,
  { organization, operator, reason }: RunRequest,
): Promise<{ runId: string; endedObserving: boolean }> {
  const actor = `operator:${operator}` as const;
  return db.transaction().execute(async (trx) => {
    const connection = await lockConnection(trx, organization);
    if (connection.observe)
      await trx
        .updateTable('steward.org_connections')
        .set({ observe: false })
        .where('id', '=', connection.id)
        .execute();
    const runId = await startOrganizationRun(trx, { connectionId: connection.id, cause: 'operator', actor });
    await insertAudit(trx, {
      organizationId: organization.id,
      actor,
      action: 'run.started',
      reason,
      subjectId: runId,
      data: { endedObserving: connection.observe },
    });
    return { runId, endedObserving: connection.observe };
  });
}
