import type { FastifyInstance, FastifyRequest } from 'fastify';
import { receiveWebhook } from '../connections/hint-webhook.ts';
import { noteHeard } from '../connections/webhook-sources.ts';
import type { Database } from '../db/database.ts';
import type { Logger } from '../logger.ts';
import type { Secret } from '../secret.ts';
import type { Telemetry } from '../telemetry.ts';
import { readWebhook, type WebhookNotice, webhookId } from '../zoom/webhook-notice.ts';
import { answerValidation, findSigningSecret } from '../zoom/webhook-signature.ts';
import { createWebhookAlert } from './webhook-alert.ts';
import { type WebhookApp, webhookPath } from './webhook-app.ts';

const bodyLimitBytes = 1024 * 1024;
/** Zoom waits 3 s and tries again; what is not stored by then is refused while it still listens. */
const storeMs = 2_500;
/** A validation is answered whether or not we can write down that it came. */
const noteMs = 500;

export type WebhookOptions = {
  readonly db: Database;
  readonly apps: readonly WebhookApp[];
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** milliseconds in which a webhook must be stored; smaller in tests */
  readonly storeWithinMs?: number;
};

type Answer = { readonly status: number; readonly body: object; readonly outcome: string; readonly event?: string };

const refusedSignature: Answer = {
  status: 401,
  body: { error: 'the signature is of none of our secrets' },
  outcome: 'refused',
};

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not stored within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * One path an app (lifecycle §7): raw bytes, a signature by any of its secrets, one short transaction, an answer. What
 * cannot be stored is a 503, because Zoom tries 5xx again and 4xx never. docs/webhooks.md has the table.
 */
export function webhookRoutes(app: FastifyInstance, options: WebhookOptions): void {
  const { db, log, telemetry, storeWithinMs = storeMs } = options;
  const alert = createWebhookAlert({ db, log });

  async function validate(of: WebhookApp, signedBy: Secret | null, plainToken: unknown): Promise<Answer> {
    const answer = answerValidation(signedBy ?? (of.secrets[0] as Secret), plainToken);
    if (!answer) {
      await alert(of);
      return { status: 400, body: { error: 'expected a plainToken of Zoom’s' }, outcome: 'signing_attempt' };
    }
    const noted = db.transaction().execute((trx) => noteHeard(trx, of.clientId, 'validated'));
    await within(noteMs, noted).catch((error: unknown) => log.warn({ err: error }, 'a validation was not noted'));
    return { status: 200, body: answer, outcome: 'validated' };
  }

  async function take(of: WebhookApp, body: Buffer, notice: Exclude<WebhookNotice, { kind: 'validation' }> | null) {
    const { clientId, kind: clientKind } = of;
    const id = webhookId(clientId, body);
    const outcome = await within(storeWithinMs, receiveWebhook(db, { id, clientId, clientKind, notice }));
    const event = notice && 'event' in notice ? { event: notice.event } : {};
    return { status: 200, body: {}, outcome, ...event };
  }

  async function answer(of: WebhookApp | undefined, request: FastifyRequest): Promise<Answer> {
    if (!of || of.secrets.length === 0)
      return { status: 503, body: { error: 'this app has no webhook secret here yet' }, outcome: 'off' };
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const signature = request.headers['x-zm-signature'];
    const signedBy = findSigningSecret(
      of.secrets,
      { timestamp: request.headers['x-zm-request-timestamp'], signature },
      body,
    );
    if (!signedBy && signature !== undefined) return refusedSignature;
    const notice = readWebhook(body);
    // Whether Zoom signs a validation nobody could confirm; everything else it does sign.
    if (notice?.kind === 'validation') return validate(of, signedBy, notice.plainToken);
    return signedBy ? take(of, body, notice) : refusedSignature;
  }

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: bodyLimitBytes }, (_request, body, done) =>
      done(null, body),
    );
    scope.setErrorHandler((error, _request, reply) => {
      const { statusCode } = error as { statusCode?: number };
      return reply
        .code(statusCode !== undefined && statusCode < 500 ? statusCode : 503)
        .send({ error: 'not taken; send it again' });
    });
    for (const kind of ['admin', 'personal'] as const) {
      const of = options.apps.find((one) => one.kind === kind);
      scope.post(webhookPath(kind), { bodyLimit: bodyLimitBytes }, async (request, reply) => {
        const begun = performance.now();
        const tell = (outcome: string, event: string | null = null): void =>
          telemetry.emit('webhook', { app: kind, event, outcome, ms: performance.now() - begun });
        try {
          const { status, body, outcome, event } = await answer(of, request);
          tell(outcome, event);
          return await reply.code(status).send(body);
        } catch (error) {
          tell('failed');
          log.error({ err: error, app: kind }, 'a webhook could not be stored; Zoom will send it again');
          throw error;
        }
      });
    }
  });
}
