import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { Secret } from '../secret.ts';
import { lockConnection } from './authority.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { hashSecret } from './random-secret.ts';

/** How long an exchange may take before another attempt may void it. */
const exchangeLifetimeMinutes = 2;
/** Why a callback brought nothing; the link stays open and the page explains how to go on. */
export type CallbackRefusal =
  | 'no_state'
  | 'unknown_state'
  | 'already_used'
  | 'attempt_expired'
  | 'attempt_void'
  | 'other_browser'
  | 'link_not_open'
  | 'denied'
  | 'refused_by_zoom'
  | 'malformed'
  | 'verifier_unreadable'
  | 'code_refused'
  | 'application_error'
  | 'answer_unknown';

/** An attempt whose state was consumed: it alone may exchange the code. */
export type ConsumedAttempt = {
  readonly id: string;
  readonly linkId: string;
  readonly connectionId: string;
  readonly organizationId: string;
  readonly verifier: Secret;
  /** the issuer pressed the button in their own session */
  readonly byIssuer: boolean;
};

export type EndedAttempt = {
  readonly state: 'done' | 'denied' | 'expired' | 'void';
  readonly outcome: CallbackRefusal | 'exchanged';
};

/** Ends an attempt that has not ended; false if somebody else did. */
export async function endAttempt(trx: Transaction<DB>, attemptId: string, end: EndedAttempt): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('steward.connect_attempts')
    .set({ ...end, sealed_verifier: null, ended_at: sql`steward.now()` })
    .where('id', '=', attemptId)
    .where('state', 'in', ['started', 'returned'])
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Consumes the state: of any number of callbacks that carry it, one at most comes out with the verifier. */
export async function consumeState(
  deps: ConnectionDeps,
  trx: Transaction<DB>,
  state: string,
  browser: Secret | null,
): Promise<ConsumedAttempt | { readonly why: CallbackRefusal; readonly linkId: string | null }> {
  const found = await trx
    .selectFrom('steward.connect_attempts as a')
    .innerJoin('steward.connect_links as l', 'l.id', 'a.link_id')
    .select(['a.id', 'l.connection_id'])
    .where('a.state_hash', '=', hashSecret(new Secret(state)))
    .executeTakeFirst();
  if (!found) return { why: 'unknown_state', linkId: null };
  await lockConnection(trx, found.connection_id);
  const row = await trx
    .selectFrom('steward.connect_attempts as a')
    .innerJoin('steward.connect_links as l', 'l.id', 'a.link_id')
    .select(['a.id', 'a.state', 'a.browser_hash', 'a.sealed_verifier', 'a.session_member_id', 'l.id as link_id'])
    .select(['l.connection_id', 'l.organization_id', 'l.issuer_member_id'])
    .select(sql<boolean>`a.expires_at > steward.now()`.as('fresh'))
    .select(sql<boolean>`l.state = 'open' and l.expires_at > steward.now()`.as('link_open'))
    .where('a.id', '=', found.id)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const refuse = async (end: EndedAttempt, why: CallbackRefusal) => {
    await endAttempt(trx, row.id, end);
    return { why, linkId: row.link_id };
  };
  if (row.state === 'void') return { why: 'attempt_void', linkId: row.link_id };
  if (row.state === 'expired') return { why: 'attempt_expired', linkId: row.link_id };
  if (row.state !== 'started') return { why: 'already_used', linkId: row.link_id };
  if (!row.fresh) return refuse({ state: 'expired', outcome: 'attempt_expired' }, 'attempt_expired');
  // A code that went through another browser is burnt: it may have been planted there.
  if (browser === null || !row.browser_hash.equals(hashSecret(browser))) {
    return refuse({ state: 'void', outcome: 'other_browser' }, 'other_browser');
  }
  if (!row.link_open) return refuse({ state: 'void', outcome: 'link_not_open' }, 'link_not_open');
  const opened = deps.vault.open(row.sealed_verifier ?? '', {
    table: 'connect_attempts',
    column: 'sealed_verifier',
    id: row.id,
    clientId: deps.client.clientId,
    version: 0,
  });
  if (!opened.ok) return refuse({ state: 'void', outcome: 'verifier_unreadable' }, 'verifier_unreadable');
  await sql`
    update steward.connect_attempts
       set state = 'returned', sealed_verifier = null,
           expires_at = steward.now() + ${exchangeLifetimeMinutes} * interval '1 minute'
     where id = ${row.id} and state = 'started'`.execute(trx);
  return {
    id: row.id,
    linkId: row.link_id,
    connectionId: row.connection_id,
    organizationId: row.organization_id,
    verifier: opened.secret,
    byIssuer: row.session_member_id !== null && row.session_member_id === row.issuer_member_id,
  };
}

/** Ends attempts whose hour, or whose exchange, is over. Returns how many. */
export async function expireAttempts(trx: Transaction<DB>): Promise<number> {
  const expired = await trx
    .updateTable('steward.connect_attempts')
    .set({ state: 'expired', outcome: 'attempt_expired', sealed_verifier: null, ended_at: sql`steward.now()` })
    .where('state', 'in', ['started', 'returned'])
    .where('expires_at', '<=', sql<Date>`steward.now()`)
    .returning('id')
    .execute();
  if (expired.length > 0) {
    await insertAudit(trx, {
      organizationId: null,
      actor: 'schedule',
      action: 'connection.attempts_expired',
      data: { attempts: expired.length },
    });
  }
  return expired.length;
}
