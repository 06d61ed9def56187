import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../../db/audit-repository.ts';
import type { Database } from '../../db/database.ts';
import type { DB } from '../../db/schema.ts';
import { StewardError } from '../../errors.ts';
import { releaseGrant } from '../../grants/release.ts';
import type { Secret } from '../../secret.ts';
import type { ConnectionDeps } from '../connection-deps.ts';
import { createRandomSecret, hashSecret } from '../random-secret.ts';

/** What a member's own consent needs; `client` is the personal app. */
export type PersonalDeps = Pick<ConnectionDeps, 'db' | 'vault' | 'grants' | 'oauth' | 'api' | 'endpoints' | 'client'>;

/** The deps for members' own consents; null: no personal app is configured. */
export const personalDepsOf = ({ personalClient, ...deps }: ConnectionDeps): PersonalDeps | null =>
  personalClient ? { ...deps, client: personalClient } : null;

/** How long a consent waits for its member: for the button, for Zoom, and for an answer to "is this yours?". */
export const consentLifetimeMinutes = 60;

/** States in which a consent may still become the member's connection. */
const openStates = ['open', 'started', 'returned', 'exchanged', 'asking'] as const;
export type ConsentState = (typeof openStates)[number] | 'done' | 'denied' | 'failed' | 'expired' | 'void';
export const isOpen = (state: ConsentState): boolean => (openStates as readonly string[]).includes(state);

/** Locks the consent's row, in whichever way it is known; undefined: there is none. */
export async function lockConsent(
  trx: Transaction<DB>,
  by: { readonly id: string } | { readonly tokenHash: Buffer } | { readonly stateHash: Buffer },
) {
  const query = trx
    .selectFrom('steward.personal_consents')
    .selectAll()
    .select(sql<boolean>`expires_at <= steward.now()`.as('expired'))
    .forUpdate();
  if ('id' in by) return query.where('id', '=', by.id).executeTakeFirst();
  if ('tokenHash' in by) return query.where('token_hash', '=', by.tokenHash).executeTakeFirst();
  return query.where('state_hash', '=', by.stateHash).executeTakeFirst();
}

export type Consent = NonNullable<Awaited<ReturnType<typeof lockConsent>>>;

/** Ends a consent that has not ended: what is sealed goes, a grant that was only asked about is released. */
export async function endConsent(
  trx: Transaction<DB>,
  consent: Pick<Consent, 'id' | 'organization_id' | 'member_id' | 'grant_id'>,
  end: {
    readonly state: 'done' | 'denied' | 'failed' | 'expired' | 'void';
    readonly outcome: string;
    readonly actor: Actor;
  },
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('steward.personal_consents')
    .set({
      ...{ state: end.state, outcome: end.outcome, ended_at: sql`steward.now()` },
      ...{ sealed_verifier: null, sealed_access: null, sealed_refresh: null, token_facts: null },
    })
    .where('id', '=', consent.id)
    .where('state', 'in', openStates)
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) return false;
  const { organization_id: organizationId, member_id: memberId } = consent;
  const data = { memberId, state: end.state, outcome: end.outcome };
  const action = 'personal.consent_ended';
  await insertAudit(trx, { organizationId, actor: end.actor, action, subjectId: consent.id, data });
  if (end.state === 'done') return true;
  if (consent.grant_id !== null) {
    const reason = `consent_${end.state}`;
    await releaseGrant(trx, { grantId: consent.grant_id, organizationId, actor: end.actor, reason });
  }
  // It counts as none: nobody has to be told.
  await sql`
    delete from steward.personal_connections p where p.member_id = ${memberId} and p.state = 'connecting'
       and not exists (select from steward.personal_consents c where c.member_id = p.member_id and c.state in (${sql.join(openStates)}))`.execute(
    trx,
  );
  return true;
}

/** Deletes a pair that nobody was named for; it is never revoked: that might end a stranger's. */
export async function dropPair(trx: Transaction<DB>, consentId: string): Promise<void> {
  await trx
    .updateTable('steward.personal_consents')
    .set({ sealed_access: null, sealed_refresh: null, token_facts: null })
    .where('id', '=', consentId)
    .execute();
}

/** Consents whose pair is still to be filed, in case the job that was to do it got lost. */
export async function listUnnamedConsents(db: Database, limit = 100): Promise<string[]> {
  const rows = await db
    .selectFrom('steward.personal_consents')
    .select('id')
    .where('sealed_access', 'is not', null)
    .where('expires_at', '>', sql<Date>`(select steward.now())`)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/**
 * A member asks for a Zoom of their own: an address, good for an hour, that begins their consent in their own browser. An
 * earlier one that has not ended is void. The connection they may have stays as it is meanwhile.
 */
export async function createPersonalConsent(
  db: Database,
  { client }: Pick<PersonalDeps, 'client'>,
  { organizationId, memberId }: { readonly organizationId: string; readonly memberId: string },
): Promise<{ readonly consentId: string; readonly token: Secret; readonly expiresAt: Date }> {
  const token = createRandomSecret();
  const id = randomUUID();
  const actor = `member:${memberId}` as const;
  return db.transaction().execute(async (trx) => {
    // Serializes the consents of one member.
    const member = await trx
      .selectFrom('steward_app.members')
      .select('id')
      .where('id', '=', memberId)
      .where('organization_id', '=', organizationId)
      .where('active', '=', true)
      .executeTakeFirst();
    if (!member) throw new StewardError('member_not_found', 'Expected an active member, found none; check the id.');
    await sql`select pg_advisory_xact_lock(hashtextextended(${`personal_consent:${memberId}`}, 0))`.execute(trx);
    const earlier = await trx
      .selectFrom('steward.personal_consents')
      .select(['id', 'organization_id', 'member_id', 'grant_id'])
      .where('member_id', '=', memberId)
      // What is being exchanged may hold the only pair that lives: it goes its way.
      .where('state', 'in', ['open', 'started', 'asking'])
      .forUpdate()
      .execute();
    await sql`
      insert into steward.personal_connections (id, organization_id, member_id, state, changed_at)
      values (${randomUUID()}, ${organizationId}, ${memberId}, 'connecting', steward.now())
      on conflict (organization_id, member_id) do nothing`.execute(trx);
    const { rows } = await sql<{ expires_at: Date }>`
      insert into steward.personal_consents (id, organization_id, member_id, token_hash, client_id, expires_at, created_at)
      values (${id}, ${organizationId}, ${memberId}, ${hashSecret(token)}, ${client.clientId},
              steward.now() + ${consentLifetimeMinutes} * interval '1 minute', steward.now()) returning expires_at`.execute(
      trx,
    );
    for (const one of earlier) await endConsent(trx, one, { state: 'void', outcome: 'another_began', actor });
    const data = { memberId };
    await insertAudit(trx, { organizationId, actor, action: 'personal.consent_asked', subjectId: id, data });
    return { consentId: id, token, expiresAt: rows[0]?.expires_at as Date };
  });
}

/**
 * Ends consents whose time is over; a pair that nobody was named for in a day is deleted.
 * @returns how many ended
 */
export async function expireConsents(db: Database, limit = 100): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from steward.personal_consents
     where (state in ('open', 'started', 'returned', 'exchanged', 'asking') or sealed_access is not null)
       and expires_at <= (select steward.now())
     order by expires_at limit ${limit}`.execute(db);
  for (const { id } of rows) {
    await db.transaction().execute(async (trx) => {
      const consent = await lockConsent(trx, { id });
      if (!consent?.expired) return;
      await dropPair(trx, id);
      await endConsent(trx, consent, { state: 'expired', outcome: `expired_${consent.state}`, actor: 'schedule' });
    });
  }
  return rows.length;
}
