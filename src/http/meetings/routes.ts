import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { authenticate, authorize, type Capability, type ServiceKey } from '../service-keys.ts';
import { credentialsRequest, idempotencyKey, meetingChanges, meetingRequest } from './bodies.ts';
import { deleteMeeting, updateMeeting } from './change-meeting.ts';
import { createMeeting } from './create-meeting.ts';
import { handOutCredentials } from './credentials.ts';
import { findMeeting, type KnownMeeting, type MeetingDeps } from './door.ts';
import { type MeetingQuotas, takeQuota } from './quotas.ts';
import { refuseMeeting } from './refuse.ts';

const meetingParams = z.object({ meetingRef: z.string() });

/** The calls about meetings, for service keys with `meetings:write`, and raw tokens for those with `credentials:raw`. */
export function meetingRoutes(
  app: FastifyInstance,
  { deps, quotas }: { readonly deps: MeetingDeps; readonly quotas: MeetingQuotas },
): void {
  const { db } = deps;

  /** Who may do it in this organization, counted. */
  const enter = async (
    request: FastifyRequest,
    capability: Capability,
    organizationId: string,
  ): Promise<ServiceKey> => {
    const key = await authenticate(db, request.headers.authorization);
    authorize(key, capability, organizationId);
    await takeQuota(db, quotas, key, organizationId);
    return key;
  };

  const enterMeeting = async (
    request: FastifyRequest,
    capability: Capability,
    meetingRef: string,
  ): Promise<{ key: ServiceKey; meeting: KnownMeeting }> => {
    const key = await authenticate(db, request.headers.authorization);
    // A key without the right learns nothing about which references exist.
    authorize(key, capability, key.organizationId ?? '');
    const meeting = await findMeeting(db, meetingRef);
    if (meeting === undefined || (key.organizationId ?? meeting.organizationId) !== meeting.organizationId)
      throw refuseMeeting('unknown_meeting');
    await takeQuota(db, quotas, key, meeting.organizationId);
    return { key, meeting };
  };

  app.post('/v1/meetings', async (request, reply) => {
    const body = meetingRequest.parse(request.body);
    const header = request.headers['idempotency-key'];
    const name = header === undefined ? undefined : idempotencyKey.parse(header);
    await enter(request, 'meetings:write', body.organizationId);
    const { made, replayed } = await createMeeting(deps, body, name);
    return reply.code(201).header('idempotent-replayed', String(replayed)).send(made);
  });

  app.patch('/v1/meetings/:meetingRef', async (request) => {
    const { meetingRef } = meetingParams.parse(request.params);
    const { meeting } = await enterMeeting(request, 'meetings:write', meetingRef);
    return updateMeeting(deps, meeting, meetingChanges.parse(request.body));
  });

  app.delete('/v1/meetings/:meetingRef', async (request) => {
    const { meetingRef } = meetingParams.parse(request.params);
    const { meeting } = await enterMeeting(request, 'meetings:write', meetingRef);
    return deleteMeeting(deps, meeting);
  });

  app.post('/v1/meeting-credentials', async (request, reply) => {
    const asked = credentialsRequest.parse(request.body);
    // Nothing in between may keep it.
    reply.header('cache-control', 'no-store').header('pragma', 'no-cache');
    if (asked.purpose === 'create')
      return handOutCredentials(deps, await enter(request, 'credentials:raw', asked.organizationId), asked);
    const { key, meeting } = await enterMeeting(request, 'credentials:raw', asked.meetingRef);
    return handOutCredentials(deps, key, asked, meeting);
  });
}
