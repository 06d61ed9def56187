import type { FastifyInstance } from 'fastify';
import type { Telemetry } from '../telemetry.ts';
import { ApiError } from './api-error.ts';
import { meetingRefusals } from './meeting-refusals.ts';

const actions: Readonly<Record<string, 'create' | 'update' | 'delete'>> = {
  POST: 'create',
  PATCH: 'update',
  DELETE: 'delete',
};

/** Tells what became of each meeting asked for. Calls that were not understood or not allowed are no meetings. */
export function observeMeetings(app: FastifyInstance, telemetry: Telemetry): void {
  const refused = new WeakMap<object, string>();
  app.addHook('onError', async (request, _reply, error: Error) => {
    if (error instanceof ApiError && error.code in meetingRefusals) refused.set(request, error.code);
  });
  app.addHook('onResponse', async (request, reply) => {
    const action = actions[request.method];
    if (action === undefined || !request.routeOptions.url?.startsWith('/v1/meetings')) return;
    const outcome =
      refused.get(request) ?? (reply.statusCode < 300 ? 'done' : reply.statusCode >= 500 ? 'internal' : undefined);
    if (outcome !== undefined) telemetry.emit('meeting', { action, outcome });
  });
}
