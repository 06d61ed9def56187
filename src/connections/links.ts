import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { applyTransition } from './apply-transition.ts';
import { type Asker, actorOf, assertMayManage, getLiveOrganization, lockConnection } from './authority.ts';
import { endCandidates } from './cancel-open-work.ts';
import { createRandomSecret, hashSecret } from './random-secret.ts';
import { settlePending } from './settle-pending.ts';

/** How long a new link lives, and how long one extension gives from now (behaviour §3.1). */
const linkLifetimeDays = 14;

export type ConnectLink = {
  readonly linkId: string;
  readonly connectionId: string;
  /** 256 bits; shown once, only its hash is stored */
  readonly token: Secret;
  readonly expiresAt: Date;
};

async function ensureConnection(trx: Transaction<DB>, organizationId: string): Promise<string> {
  await sql`
    insert into steward.org_connections (id, organization_id, created_at)
    values (${randomUUID()}, ${organizationId}, steward.now()) on conflict (organization_id) do nothing`.execute(trx);
  const row = await trx
    .selectFrom('steward.org_connections')
    .select('id')
    .where('organization_id', '=', organizationId)
    .executeTakeFirstOrThrow();
  return row.id;
}

/**
 * Makes a connect link for an owner or admin of the organization, or an operator with a reason (owners are told).
 * Throws forbidden, reason_missing, organization_not_found or plan_without_zoom.
 */
export async function createConnectLink(
  db: Database,
  { organizationId, asker }: { readonly organizationId: string; readonly asker: Asker },
): Promise<ConnectLink> {
  return db.transaction().execute((trx) => insertConnectLink(trx, { organizationId, asker }));
}

async function insertConnectLink(
  trx: Transaction<DB>,
  { organizationId, asker }: { readonly organizationId: string; readonly asker: Asker },
): Promise<ConnectLink> {
  await getLiveOrganization(trx, organizationId);
  await assertMayManage(trx, organizationId, asker);
  const token = createRandomSecret();
  const linkId = randomUUID();
  const connectionId = await ensureConnection(trx, organizationId);
  await lockConnection(trx, connectionId);
  const { rows } = await sql<{ expires_at: Date }>`
    insert into steward.connect_links
      (id, connection_id, organization_id, token_hash, issuer_member_id, issuer_operator, reason, expires_at, created_at)
    values (${linkId}, ${connectionId}, ${organizationId}, ${hashSecret(token)},
            ${'memberId' in asker ? asker.memberId : null}, ${'operator' in asker ? asker.operator : null},
            ${'operator' in asker ? asker.reason : null},
            steward.now() + ${linkLifetimeDays} * interval '1 day', steward.now())
    returning expires_at`.execute(trx);
  await applyTransition(trx, {
    connectionId,
    event: 'link_made',
    actor: actorOf(asker),
    ...('operator' in asker ? { reason: asker.reason } : {}),
    data: { linkId },
  });
  if ('operator' in asker) {
    await insertEvent(trx, {
      organizationId,
      type: 'connection.link_made_by_operator',
      subjectId: connectionId,
      data: { linkId, operator: asker.operator, reason: asker.reason },
    });
  }
  return { linkId, connectionId, token, expiresAt: rows[0]?.expires_at as Date };
}

async function lockLink(trx: Transaction<DB>, linkId: string) {
  const found = await trx
    .selectFrom('steward.connect_links')
    .select('connection_id')
    .where('id', '=', linkId)
    .executeTakeFirst();
  if (!found) {
    throw new StewardError('link_not_found', 'Expected a connect link, found none; check the id.', {
      context: { linkId },
    });
  }
  const connection = await lockConnection(trx, found.connection_id);
  const link = await trx
    .selectFrom('steward.connect_links')
    .selectAll()
    .where('id', '=', linkId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  return { connection, link };
}

function assertOpen(link: { readonly id: string; readonly state: string }): void {
  if (link.state === 'open') return;
  throw new StewardError('link_not_open', `Expected an open link, this one is ${link.state}; make a new one.`, {
    context: { linkId: link.id, state: link.state },
  });
}

/** Lets an open link live 14 days from now. Returns its new end. */
export async function extendConnectLink(
  trx: Transaction<DB>,
  { linkId, asker }: { readonly linkId: string; readonly asker: Asker },
): Promise<Date> {
  const { link } = await lockLink(trx, linkId);
  await assertMayManage(trx, link.organization_id, asker);
  assertOpen(link);
  const { rows } = await sql<{ expires_at: Date }>`
    update steward.connect_links
       set expires_at = steward.now() + ${linkLifetimeDays} * interval '1 day'
     where id = ${linkId} and state = 'open' and expires_at > steward.now() returning expires_at`.execute(trx);
  if (!rows[0]) throw new StewardError('link_not_open', 'Expected an open link, this one has expired; make a new one.');
  await insertAudit(trx, {
    organizationId: link.organization_id,
    actor: actorOf(asker),
    action: 'connection.link_extended',
    subjectId: link.connection_id,
    data: { linkId },
  });
  return rows[0].expires_at;
}

/** Withdraws an open link; what was begun through it is void. Revoking twice changes nothing. */
export async function revokeConnectLink(
  trx: Transaction<DB>,
  { linkId, asker }: { readonly linkId: string; readonly asker: Asker },
): Promise<void> {
  const { link } = await lockLink(trx, linkId);
  await assertMayManage(trx, link.organization_id, asker);
  if (link.state !== 'open') return;
  await endLink(trx, {
    linkId,
    connectionId: link.connection_id,
    organizationId: link.organization_id,
    state: 'revoked',
    actor: actorOf(asker),
  });
}

/**
 * Ends a link without success. Attempts under way are void. Revoking also cancels what came through the link –
 * somebody decided against it –; when it merely expires, an owner may still confirm what was approved.
 */
export async function endLink(
  trx: Transaction<DB>,
  end: {
    readonly linkId: string;
    readonly connectionId: string;
    readonly organizationId: string;
    readonly state: 'revoked' | 'expired';
    readonly actor: Actor;
  },
): Promise<void> {
  const ended = await trx
    .updateTable('steward.connect_links')
    .set({ state: end.state, ended_at: sql`steward.now()` })
    .where('id', '=', end.linkId)
    .where('state', '=', 'open')
    .returning(['issuer_member_id as issuerMemberId', 'issuer_operator as issuerOperator'])
    .executeTakeFirst();
  if (!ended) return;
  await trx
    .updateTable('steward.connect_attempts')
    .set({ state: 'void', outcome: `link_${end.state}`, sealed_verifier: null, ended_at: sql`steward.now()` })
    .where('link_id', '=', end.linkId)
    .where('state', 'in', ['started', 'returned'])
    .execute();
  if (end.state === 'revoked') await endCandidates(trx, { linkId: end.linkId }, 'cancelled', end.actor);
  await insertAudit(trx, {
    organizationId: end.organizationId,
    actor: end.actor,
    action: `connection.link_${end.state}`,
    subjectId: end.connectionId,
    data: { linkId: end.linkId },
  });
  await insertEvent(trx, {
    organizationId: end.organizationId,
    type: 'connection.link_ended',
    subjectId: end.connectionId,
    // Whose link it was, so that they are told.
    data: { linkId: end.linkId, ended: end.state, ...ended },
  });
  await settlePending(trx, end.connectionId);
}
