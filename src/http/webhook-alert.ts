import { insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import type { Logger } from '../logger.ts';
import type { WebhookApp } from './webhook-app.ts';

/** Anybody can send such a request: whoever does it in a loop must not fill the audit log. */
const quietMs = 60 * 60_000;

/**
 * Alerts operators that somebody tried to have us sign a text of theirs: an error in the log and an audit entry, once an
 * hour, app and process. The text itself is kept nowhere. Never rejects.
 */
export function createWebhookAlert({ db, log }: { readonly db: Database; readonly log: Logger }) {
  const toldAt = new Map<string, number>();
  return async ({ kind, clientId }: WebhookApp): Promise<void> => {
    const last = toldAt.get(clientId);
    if (last !== undefined && performance.now() - last < quietMs) return;
    toldAt.set(clientId, performance.now());
    log.error({ app: kind, alert: 'webhook_signing_attempt' }, 'somebody tried to have us sign a text of theirs');
    await db
      .transaction()
      .execute((trx) =>
        insertAudit(trx, {
          organizationId: null,
          actor: 'zoom',
          action: 'webhook.signing_attempt',
          reason: 'endpoint.url_validation with a plainToken that Zoom does not make',
          data: { app: kind, clientId },
        }),
      )
      .catch((error: unknown) => log.warn({ err: error }, 'an alert was not written to the audit log'));
  };
}
