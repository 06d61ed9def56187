import { sql } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import { StewardError } from '../errors.ts';
import type { ZoomFailure } from '../zoom/api.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { lookAtGrant } from './look-at-grant.ts';
import { judge, type LookFacts, type Verdict } from './verdict.ts';

export type VerifyOptions = {
  readonly actor?: Actor;
  readonly signal?: AbortSignal;
  /** a call of the product that Zoom refused: evidence that a look at lists cannot give */
  readonly failedCall?: { readonly call: string; readonly failure: ZoomFailure };
};

/** A connection as it was when the look began; a decision is refused if it moved since. */
export type Watched = {
  readonly id: string;
  readonly state: 'active' | 'interrupted';
  readonly generation: number;
  readonly grantId: string;
  /** when the look began, by the database's clock */
  readonly lookedAt: string;
};

/** The connection, if it is one that can be verified. Throws connection_not_found. */
export async function findWatched(deps: Pick<ConnectionDeps, 'db'>, connectionId: string): Promise<Watched | null> {
  const row = await deps.db
    .selectFrom('steward.org_connections')
    .select(['id', 'state', 'generation', 'grant_id', sql<string>`steward.now()::text`.as('looked_at')])
    .where('id', '=', connectionId)
    .executeTakeFirst();
  if (!row)
    throw new StewardError('connection_not_found', 'Expected an org connection, found none; check the id.', {
      context: { connectionId },
    });
  if ((row.state !== 'active' && row.state !== 'interrupted') || row.grant_id === null) return null;
  const { id, state, generation, grant_id: grantId, looked_at: lookedAt } = row;
  return { id, state, generation, grantId, lookedAt };
}

/** Looks at the connection's grant, with the second look of a suspect grant first if its time has come. */
export async function lookAtConnection(
  deps: ConnectionDeps,
  watched: Watched,
  options: VerifyOptions = {},
): Promise<{ readonly verdict: Verdict; readonly facts: LookFacts }> {
  await deps.grants.secondLook(watched.grantId);
  const facts = await lookAtGrant(deps, watched.grantId, options.signal ? { signal: options.signal } : {});
  const verdict = judge(facts, deps.expectations);
  const failed = options.failedCall;
  if (
    failed &&
    verdict.result !== 'inconclusive' &&
    (failed.failure.kind === 'missing_permission' || failed.failure.kind === 'missing_scope')
  ) {
    const missing = [`permission to ${failed.call}`, ...(verdict.result === 'failed' ? verdict.missing : [])];
    return { facts, verdict: { result: 'failed', missing, evidence: 'calls' } };
  }
  return { facts, verdict };
}

/** What a decision about a watched connection must have seen. */
export const seenBy = (watched: Watched) => ({ generation: watched.generation, grantId: watched.grantId });
