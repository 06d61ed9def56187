import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ConnectionDeps } from '../connections/connection-deps.ts';
import { createPersonalConsent, personalDepsOf } from '../connections/personal/consents.ts';
import { findPersonal } from '../connections/personal/find-personal.ts';
import { disconnectPersonal } from '../connections/personal-connections.ts';
import { ApiError } from './api-error.ts';
import type { ActingMember } from './member-claims.ts';
import { consentUrl } from './personal-pages.ts';

const memberParams = z.object({ memberId: z.guid() });

export type PersonalRoutes = {
  readonly deps: ConnectionDeps;
  readonly publicUrl: string;
  /** the organization, for a key that may read it */
  reader(request: FastifyRequest): Promise<string>;
  /** the member behind the request, whatever their role */
  actor(request: FastifyRequest): Promise<ActingMember>;
};

/** A member's own Zoom: theirs to connect and to end, by their claim (lifecycle §6). */
export function personalRoutes(app: FastifyInstance, { deps, publicUrl, reader, actor }: PersonalRoutes): void {
  /** The path's member, who must be the one who acts: nobody connects or ends another's. */
  const own = async (request: FastifyRequest): Promise<ActingMember> => {
    const acting = await actor(request);
    if (memberParams.parse(request.params).memberId !== acting.memberId)
      throw new ApiError(403, 'not_yourself', 'A personal Zoom is its member’s own to connect and to end');
    return acting;
  };

  app.get('/v1/organizations/:organizationId/members/:memberId/personal-connection', async (request) => {
    const organizationId = await reader(request);
    const { memberId } = memberParams.parse(request.params);
    const found = await findPersonal(deps.db, { organizationId, memberId });
    if (found) return found;
    throw new ApiError(404, 'member_not_found', 'Expected a member of this organization; check the id');
  });

  app.post('/v1/organizations/:organizationId/members/:memberId/personal-consents', async (request, reply) => {
    const { organizationId, memberId } = await own(request);
    const personal = personalDepsOf(deps);
    if (personal === null)
      throw new ApiError(
        409,
        'personal_not_configured',
        'Personal connections are not managed here: set ZOOM_PERSONAL_CLIENT_ID, or keep them in the main app',
      );
    const { consentId, token, expiresAt } = await createPersonalConsent(deps.db, personal, {
      organizationId,
      memberId,
    });
    return reply
      .code(201)
      .send({ id: consentId, url: consentUrl(publicUrl, token), expiresAt: expiresAt.toISOString() });
  });

  app.delete('/v1/organizations/:organizationId/members/:memberId/personal-connection', async (request) => {
    const { organizationId, memberId } = await own(request);
    await deps.db.transaction().execute((trx) => disconnectPersonal(trx, { memberId, actor: `member:${memberId}` }));
    return findPersonal(deps.db, { organizationId, memberId });
  });
}
