import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { lookAtGrant } from './look-at-grant.ts';
import { withRefusedMeetings } from './refused-meetings.ts';
import { judge, type LookFacts, type Verdict } from './verdict.ts';

export type VerifyOptions = {
  readonly actor?: Actor;
  readonly signal?: AbortSignal;
};

/** A connection as it was when the look began; a decision is refused if it moved since. */
export type Watched = {
  readonly id: string;
  readonly state: 'active' | 'interrupted';
  readonly generation: number;
  readonly grantId: string;
  /** the consent that is looked at: a later one makes what a look found against it old news */
  readonly consentedAt: string;
  /** when the look began, by the database's clock */
  readonly lookedAt: string;
};

/** The connection, if it is one that can be verified. Throws connection_not_found. */
export async function findWatched(deps: Pick<ConnectionDeps, 'db'>, connectionId: string): Promise<Watched | null> {
  const row = await deps.db
    .selectFrom('steward.org_connections as c')
    .leftJoin('steward.grants as g', 'g.id', 'c.grant_id')
    .select(['c.id', 'c.state', 'c.generation', 'c.grant_id', sql<string>`steward.now()::text`.as('looked_at')])
    .select(sql<string | null>`g.consented_at::text`.as('consented_at'))
    .where('c.id', '=', connectionId)
    .executeTakeFirst();
  if (!row)
    throw new StewardError('connection_not_found', 'Expected an org connection, found none; check the id.', {
      context: { connectionId },
    });
  if ((row.state !== 'active' && row.state !== 'interrupted') || row.grant_id === null) return null;
  const { id, state, generation, grant_id: grantId, looked_at: lookedAt, consented_at: consentedAt } = row;
  return { id, state, generation, grantId, lookedAt, consentedAt: consentedAt ?? '' };
}

/**
 * Whether the grant is another one by now than the look that failed saw: consented to again, or no longer dead. Its
 * connections look once more by themselves then. The caller holds the connection's lock; a consent that is being filed is
 * waited for.
 */
export async function isOldNews(
  trx: Transaction<DB>,
  watched: Watched,
  verdict: Extract<Verdict, { result: 'failed' }>,
): Promise<boolean> {
  const { rows } = await sql<{ state: string; consentedAt: string }>`
    select state, consented_at::text as "consentedAt" from steward.grants where id = ${watched.grantId} for share`.execute(
    trx,
  );
  const grant = rows[0];
  if (grant?.consentedAt !== watched.consentedAt) return true;
  return verdict.evidence === 'grant' && grant.state !== 'dead';
}

/** Looks at the connection's grant, with the second look of a suspect grant first if its time has come. */
export async function lookAtConnection(
  deps: ConnectionDeps,
  watched: Watched,
  options: VerifyOptions = {},
): Promise<{ readonly verdict: Verdict; readonly facts: LookFacts }> {
  await deps.grants.secondLook(watched.grantId);
  const facts = await lookAtGrant(deps, watched.grantId, options.signal ? { signal: options.signal } : {});
  return { facts, verdict: await withRefusedMeetings(deps.db, watched, judge(facts, deps.expectations)) };
}

/** What a decision about a watched connection must have seen. */
export const seenBy = (watched: Watched) => ({ generation: watched.generation, grantId: watched.grantId });
