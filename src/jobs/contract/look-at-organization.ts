import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { noticePlans } from '../../connections/plan-and-organization.ts';
import { endConnection } from '../../connections/request-disconnect.ts';
import type { Database } from '../../db/database.ts';
import { lookAtFacts, startOrganizationRun } from '../../db/run-repository.ts';
import { cancel, done, type JobResult, snooze } from './result.ts';

const busyLookMs = 2_000;

/**
 * "Look at this organization": starts a run that sees everything committed before the question. An open run
 * that has not begun will see it, and looks at everybody even if it was to stand on stored facts; one at work may have
 * passed the place, so the question waits for its end; one that is held waits for a person, and is planned anew when they let it pass.
 */
export function lookAtOrganization(db: Database, organizationId: string): Promise<JobResult> {
  return db.transaction().execute(async (trx) => {
    const organization = await trx
      .selectFrom('steward_app.organizations')
      .select('deleted_at')
      .where('id', '=', organizationId)
      .executeTakeFirst();
    // A row that is merely missing may be a broken view of the main app: upkeep decides, it sees all of them.
    if (!organization) return cancel('the main app shows no such organization');
    if (organization.deleted_at !== null) {
      const ended = await endConnection(trx, { organizationId, cause: 'organization_deleted' });
      return done({ state: 'the organization was deleted', run: ended?.runId ?? null });
    }
    await sql`
      insert into steward.org_connections (id, organization_id, created_at)
      values (${randomUUID()}, ${organizationId}, steward.now())
      on conflict (organization_id) do nothing`.execute(trx);
    const connection = await trx
      .selectFrom('steward.org_connections')
      .select('id')
      .where('organization_id', '=', organizationId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    // Upkeep finds it too, minutes later.
    await noticePlans(trx, organizationId);
    const open = await trx
      .selectFrom('steward.runs')
      .select(['id', 'state'])
      .where('organization_id', '=', organizationId)
      .where('target', '=', 'organization')
      .where('state', 'in', ['queued', 'running', 'held'])
      .executeTakeFirst();
    if (open?.state === 'held') return done({ run: open.id, state: 'held' });
    if (open && !(await lookAtFacts(trx, open.id))) return snooze(busyLookMs, `run ${open.id} is under way`);
    if (open) return done({ run: open.id, state: 'queued already' });
    const run = await startOrganizationRun(trx, {
      connectionId: connection.id,
      cause: 'organization_changed',
      actor: 'app',
    });
    return done({ run, state: 'started' });
  });
}
