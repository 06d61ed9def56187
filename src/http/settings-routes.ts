import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { extendDeadline } from '../connections/deadline.ts';
import { requestVerification } from '../connections/request-verification.ts';
import {
  assumedBy,
  changeSettings,
  findConnectionId,
  mergeSettings,
  onlyWidens,
  readSettings,
  type SettingsChange,
} from '../connections/settings.ts';
import type { Database } from '../db/database.ts';
import { previewUnder } from '../reconciliation/preview-disconnect.ts';
import { ApiError } from './api-error.ts';
import type { ActingMember } from './member-claims.ts';

const most = 10_000;
const changes = {
  allowOptOut: z.boolean().exactOptional(),
  zoomForNewEventTypes: z.boolean().exactOptional(),
  meetingSummary: z.boolean().exactOptional(),
  rollout: z.enum(['all', 'groups', 'domains']).exactOptional(),
  rolloutGroups: z.array(z.guid()).max(most).exactOptional(),
  rolloutDomains: z.array(z.string().min(1).max(255)).max(most).exactOptional(),
  fallbackLocation: z
    .strictObject({ kind: z.string(), details: z.record(z.string(), z.unknown()).exactOptional() })
    .nullable()
    .exactOptional(),
  sharedHost: z.string().min(1).max(64).nullable().exactOptional(),
  reconnectDays: z.int().nullable().exactOptional(),
  archiveDays: z.int().exactOptional(),
};
const previewBody = z.strictObject(changes);
const changeBody = z.strictObject({
  changes: previewBody,
  generation: z.int().exactOptional(),
  organizationName: z.string().exactOptional(),
});
const deadlineBody = z.strictObject({ days: z.int().min(1).max(60) });

export type SettingsRoutes = {
  readonly db: Database;
  readonly locationAdapter: 'rows' | 'json';
  /** the organization, for a key that may read it */
  reader(request: FastifyRequest): Promise<string>;
  /** the owner or admin behind the request */
  manager(request: FastifyRequest): Promise<ActingMember>;
};

/** Settings of an organization, previewed like a disconnect where they take something; a look now; more time (lifecycle §6). */
export function settingsRoutes(app: FastifyInstance, { db, locationAdapter, reader, manager }: SettingsRoutes): void {
  app.get('/v1/organizations/:organizationId/settings', async (request) => readSettings(db, await reader(request)));

  app.post('/v1/organizations/:organizationId/settings/preview', async (request) => {
    const organizationId = await reader(request);
    const wanted: SettingsChange = previewBody.parse(request.body);
    const { before, after } = await mergeSettings(db, organizationId, wanted);
    const preview = await previewUnder(
      db,
      { organizationId, adapter: locationAdapter },
      await assumedBy(db, organizationId, after),
    );
    return { settings: after, needsConfirmation: !onlyWidens(before, after), preview };
  });

  app.patch('/v1/organizations/:organizationId/settings', async (request) => {
    const { organizationId, memberId } = await manager(request);
    const { changes: wanted, generation, organizationName } = changeBody.parse(request.body);
    const confirm =
      generation === undefined || organizationName === undefined ? null : { generation, typedName: organizationName };
    return db
      .transaction()
      .execute((trx) =>
        changeSettings(trx, { organizationId, changes: wanted, asker: { memberId }, ...(confirm && { confirm }) }),
      );
  });

  app.post('/v1/organizations/:organizationId/connection/verify', async (request, reply) => {
    const { organizationId, memberId } = await manager(request);
    const asked = await db
      .transaction()
      .execute((trx) => requestVerification(trx, { organizationId, asker: { memberId } }));
    return reply.code(202).send({ connectionId: asked.connectionId });
  });

  app.post('/v1/organizations/:organizationId/connection/deadline', async (request) => {
    const { organizationId, memberId } = await manager(request);
    const { days } = deadlineBody.parse(request.body);
    const connectionId = await findConnectionId(db, organizationId);
    if (connectionId === null) throw new ApiError(409, 'no_deadline', 'No deadline runs: nothing is connected');
    const deadlineAt = await db
      .transaction()
      .execute((trx) => extendDeadline(trx, { connectionId, days, asker: { memberId } }));
    return { deadlineAt };
  });
}
