import type { FastifyInstance } from 'fastify';
import { isMeetingRefusal } from '../../client/meeting-refusals.ts';
import type { Telemetry } from '../../telemetry.ts';
import { ApiError } from '../api-error.ts';

const actions: Readonly<Record<string, 'create' | 'update' | 'delete' | 'credentials'>> = {
  'POST /v1/meetings': 'create',
  'PATCH /v1/meetings/:meetingRef': 'update',
  'DELETE /v1/meetings/:meetingRef': 'delete',
  'POST /v1/meeting-credentials': 'credentials',
};

/** Tells what became of each meeting asked for. Calls that were not understood or not allowed are no meetings. */
export function observeMeetings(app: FastifyInstance, telemetry: Telemetry): void {
  const refused = new WeakMap<object, string>();
  app.addHook('onError', async (request, _reply, error: Error) => {
    if (error instanceof ApiError && isMeetingRefusal(error.code)) refused.set(request, error.code);
  });
  app.addHook('onResponse', async (request, reply) => {
    const action = actions[`${request.method} ${request.routeOptions.url}`];
    if (action === undefined) return;
    const outcome =
      refused.get(request) ?? (reply.statusCode < 300 ? 'done' : reply.statusCode >= 500 ? 'internal' : undefined);
    if (outcome !== undefined) telemetry.emit('meeting', { action, outcome, ms: reply.elapsedTime });
  });
}
