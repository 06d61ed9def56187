import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { StewardError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Telemetry } from '../telemetry.ts';
import { ApiError } from './api-error.ts';
import { type ApiOptions, apiRoutes } from './api-routes.ts';
import { connectPages } from './connect-pages.ts';
import { eventRoutes } from './event-routes.ts';
import { html } from './html.ts';
import { observeMeetings } from './meetings/observe.ts';
import type { MeetingQuotas } from './meetings/quotas.ts';
import { meetingRoutes } from './meetings/routes.ts';
import { sendPage } from './page.ts';
import { personalPages } from './personal-pages.ts';
import type { WebhookApp } from './webhook-app.ts';
import { webhookRoutes } from './webhooks.ts';

const bodyLimitBytes = 64 * 1024;

export type GatewayOptions = ApiOptions & {
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly meetingQuotas: MeetingQuotas;
  /** apps whose webhooks are taken */
  readonly webhooks: readonly WebhookApp[];
  /** milliseconds in which a webhook must be stored; smaller in tests */
  readonly webhookStoreMs?: number;
};

/** StewardError codes that are the caller's to mend, with their HTTP status; every other one is a 500. */
export const refusalStatus: Readonly<Record<string, number>> = {
  forbidden: 403,
  reason_missing: 400,
  organization_not_found: 404,
  plan_without_zoom: 409,
  member_not_found: 404,
  candidate_not_found: 404,
  link_not_found: 404,
  link_not_open: 409,
  candidate_not_waiting: 409,
  candidate_expired: 410,
  candidate_lost: 409,
  connection_moved: 409,
  nothing_to_disconnect: 409,
  name_mismatch: 409,
  stale_preview: 409,
  confirmation_missing: 409,
  settings_invalid: 400,
  verified_recently: 429,
  no_deadline: 409,
  days_out_of_range: 400,
  owner_only: 403,
  not_connected: 409,
  domain_invalid: 400,
  domain_same: 400,
  domain_public: 409,
  domain_unknown: 409,
  equivalences_full: 409,
  setting_off: 409,
  connection_not_active: 409,
  observed_only: 409,
  one_time_run_open: 409,
  one_time_run_unknown: 404,
};

function toApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (error instanceof z.ZodError) {
    return new ApiError(
      400,
      'invalid_request',
      `The request is not as documented: ${error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; ')}`,
    );
  }
  if (error instanceof StewardError && refusalStatus[error.code] !== undefined) {
    return new ApiError(refusalStatus[error.code] as number, error.code, error.message, {
      details: { ...error.context },
    });
  }
  const { statusCode, code } = error as FastifyError;
  if (statusCode !== undefined && statusCode < 500)
    return new ApiError(statusCode, code ?? 'invalid_request', (error as Error).message);
  return undefined;
}

/** The HTTP side of the worker, as an app that does not listen: tests call `inject`, the server process `listen`. */
export function createGateway(options: GatewayOptions): FastifyInstance {
  const app = fastify({ logger: false, bodyLimit: bodyLimitBytes, trustProxy: false });
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, _body, done) =>
    done(null, {}),
  );

  app.setErrorHandler((error, request, reply) => {
    const known = toApiError(error);
    // The path may hold the token of a link: only the route's pattern is logged.
    if (!known)
      options.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'request failed');
    const answer =
      known ?? new ApiError(500, 'internal', 'Something went wrong on our side; it was recorded', { retryable: true });
    if (!request.url.startsWith('/v1/')) {
      return sendPage(reply, {
        title: 'That did not work',
        status: answer.status,
        body: html`<p>${answer.message}</p>`,
      });
    }
    const { code, message, retryable, details } = answer;
    if (typeof details['retryAfterSeconds'] === 'number')
      reply.header('retry-after', String(details['retryAfterSeconds']));
    return reply.code(answer.status).send({ error: { ...details, code, message, retryable } });
  });
  app.setNotFoundHandler((request, reply) => {
    if (request.url.startsWith('/v1/')) {
      return reply.code(404).send({
        error: {
          code: 'unknown_route',
          message: 'There is no such call; see docs/contracts/api.md',
          retryable: false,
        },
      });
    }
    return sendPage(reply, {
      title: 'There is nothing here',
      status: 404,
      body: html`<p>Please open the link that you were sent.</p>`,
    });
  });

  observeMeetings(app, options.telemetry);
  app.get('/healthz', async () => ({ ok: true }));
  connectPages(app, options);
  personalPages(app, options);
  apiRoutes(app, options);
  meetingRoutes(app, { deps: options.deps, quotas: options.meetingQuotas });
  eventRoutes(app, options.deps);
  const { log, telemetry, webhookStoreMs: storeWithinMs } = options;
  const { db } = options.deps;
  webhookRoutes(app, {
    db,
    log,
    telemetry,
    apps: options.webhooks,
    ...(storeWithinMs === undefined ? {} : { storeWithinMs }),
  });
  return app;
}
