import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { addressForms } from '../connections/address-forms.ts';
import { confirmCandidate } from '../connections/confirm-candidate.ts';
import { createConnectLink } from '../connections/links.ts';
import { requestDisconnect } from '../connections/request-disconnect.ts';
import { acceptRestore } from '../reconciliation/locations-restore.ts';
import { previewDisconnect } from '../reconciliation/preview-disconnect.ts';
import type { Secret } from '../secret.ts';
import { ApiError } from './api-error.ts';
import { type ConnectPagesOptions, linkUrl } from './connect-pages.ts';
import { findConnectionStatus } from './connection-status.ts';
import { equivalenceRoutes } from './equivalence-routes.ts';
import { mappingRoutes } from './mapping-routes.ts';
import { type ActingMember, requireOwnerOrAdmin, verifyMemberClaim } from './member-claims.ts';
import { oneTimeRunRoutes } from './one-time-run-routes.ts';
import { personalRoutes } from './personal-routes.ts';
import { authenticate, authorize } from './service-keys.ts';
import { settingsRoutes } from './settings-routes.ts';

export type ApiOptions = ConnectPagesOptions & {
  /** secret with which the main app signs member claims; null refuses whatever a member must do */
  readonly claimSecret: Secret | null;
  readonly locationAdapter: 'rows' | 'json';
};

const organizationParams = z.object({ organizationId: z.guid() });
const confirmBody = z.strictObject({ candidateId: z.guid() });
const disconnectBody = z.strictObject({ generation: z.int(), organizationName: z.string() });

/** JSON API under /v1 for the main app (lifecycle §6): service key, and a signed claim for what a member does. */
export function apiRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { deps, publicUrl, claimSecret, locationAdapter } = options;
  const { db } = deps;

  const reader = async (request: FastifyRequest): Promise<string> => {
    const { organizationId } = organizationParams.parse(request.params);
    authorize(await authenticate(db, request.headers.authorization), 'connections:read', organizationId);
    return organizationId;
  };

  /** The member behind the request: key with act-as, claim, member's row and path must agree. */
  const actor = async (request: FastifyRequest): Promise<ActingMember> => {
    const { organizationId } = organizationParams.parse(request.params);
    authorize(await authenticate(db, request.headers.authorization), 'act-as', organizationId);
    if (claimSecret === null)
      throw new ApiError(403, 'claims_off', 'Acting for members is off: set STEWARD_CLAIM_SECRET on the server');
    const claim = request.headers['steward-claim'];
    return verifyMemberClaim(db, claimSecret, typeof claim === 'string' ? claim : undefined, organizationId);
  };
  /** The same, and an owner or admin. */
  const manager = async (request: FastifyRequest): Promise<ActingMember> => {
    const member = await actor(request);
    requireOwnerOrAdmin(member);
    return member;
  };

  app.post('/v1/organizations/:organizationId/connect-links', async (request, reply) => {
    const { organizationId, memberId } = await manager(request);
    const link = await createConnectLink(db, { organizationId, asker: { memberId } });
    return reply
      .code(201)
      .send({ id: link.linkId, url: linkUrl(publicUrl, link.token), expiresAt: link.expiresAt.toISOString() });
  });

  app.get('/v1/organizations/:organizationId/connection', async (request) =>
    findConnectionStatus(db, await reader(request)),
  );

  app.get('/v1/organizations/:organizationId/connection/disconnect-preview', async (request) =>
    previewDisconnect(db, { organizationId: await reader(request), adapter: locationAdapter }),
  );

  app.post('/v1/organizations/:organizationId/connection/confirm', async (request) => {
    const { organizationId, memberId } = await manager(request);
    const { candidateId } = confirmBody.parse(request.body);
    await assertOfOrganization(db, organizationId, candidateId);
    return db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker: { memberId } }));
  });

  app.post('/v1/organizations/:organizationId/connection/disconnect', async (request, reply) => {
    const { organizationId, memberId } = await manager(request);
    const { generation, organizationName } = disconnectBody.parse(request.body);
    const done = await db
      .transaction()
      .execute((trx) =>
        requestDisconnect(trx, { organizationId, generation, typedName: organizationName, asker: { memberId } }),
      );
    return reply.code(202).send(done);
  });

  app.post('/v1/organizations/:organizationId/connection/restore', async (request, reply) => {
    const { organizationId, memberId } = await manager(request);
    const runId = await db
      .transaction()
      .execute((trx) => acceptRestore(trx, { organizationId, actor: `member:${memberId}` }));
    if (runId === null)
      throw new ApiError(
        409,
        'nothing_offered',
        'There is nothing to restore: no disconnect of this organization left locations that may return',
      );
    return reply.code(202).send({ runId });
  });

  settingsRoutes(app, { db, locationAdapter, reader, manager });
  const mappings = { db, forms: addressForms(deps.vault), reader, manager };
  mappingRoutes(app, mappings);
  equivalenceRoutes(app, mappings);
  oneTimeRunRoutes(app, { db, locationAdapter, reader, manager });
  personalRoutes(app, { deps, publicUrl, reader, actor });
}

/** A candidate of another organization is one that does not exist. */
async function assertOfOrganization(
  db: ApiOptions['deps']['db'],
  organizationId: string,
  candidateId: string,
): Promise<void> {
  const row = await db
    .selectFrom('steward.candidates as d')
    .innerJoin('steward.org_connections as c', 'c.id', 'd.connection_id')
    .select('d.id')
    .where('d.id', '=', candidateId)
    .where('c.organization_id', '=', organizationId)
    .executeTakeFirst();
  if (!row)
    throw new ApiError(
      404,
      'candidate_not_found',
      'Expected a candidate of this organization; read the connection again',
    );
}
