import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { listOneTimeRuns, orderOneTimeRun, undoOneTimeRun } from '../connections/one-time-run.ts';
import { previewOneTimeRun } from '../reconciliation/preview-one-time-run.ts';
import type { SettingsRoutes } from './settings-routes.ts';

const orderBody = z.strictObject({ generation: z.int() });
const undoParams = z.object({ oneTimeRunId: z.guid() });

/** One-time runs that put Zoom into the event types of before the setting for new ones: previewed, ordered, undone (behaviour §5). */
export function oneTimeRunRoutes(app: FastifyInstance, { db, locationAdapter, reader, manager }: SettingsRoutes): void {
  app.get('/v1/organizations/:organizationId/one-time-runs', async (request) => ({
    oneTimeRuns: await listOneTimeRuns(db, await reader(request)),
  }));

  app.get('/v1/organizations/:organizationId/one-time-runs/preview', async (request) =>
    previewOneTimeRun(db, { organizationId: await reader(request), adapter: locationAdapter }),
  );

  app.post('/v1/organizations/:organizationId/one-time-runs', async (request, reply) => {
    const { organizationId, memberId } = await manager(request);
    const { generation } = orderBody.parse(request.body);
    const ordered = await db
      .transaction()
      .execute((trx) => orderOneTimeRun(trx, { organizationId, generation, asker: { memberId } }));
    return reply.code(202).send(ordered);
  });

  app.post('/v1/organizations/:organizationId/one-time-runs/:oneTimeRunId/undo', async (request, reply) => {
    const { organizationId, memberId } = await manager(request);
    const { oneTimeRunId } = undoParams.parse(request.params);
    const ordered = await db
      .transaction()
      .execute((trx) => undoOneTimeRun(trx, { organizationId, oneTimeRunId, asker: { memberId } }));
    return reply.code(202).send(ordered);
  });
}
