import { randomUUID } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { ZoomOauth } from '../zoom/oauth.ts';
import type { AccessTokenOptions, AccessTokenResult } from './access-token.ts';
import { type ClientSecrets, stopsTheClient } from './client-secrets.ts';
import { openBreaker } from './client-state-repository.ts';
import type { OnCrashPoint } from './crash-points.ts';
import { startElapsed } from './elapsed.ts';
import type { OnGrantEvent } from './grant-events.ts';
import { findGrantView } from './grant-view.ts';
import type { RefreshTimes } from './refresh-times.ts';
import { deleteSecrets, lockGrant, type RetiringReview, type RevokeOutcome, reviewRetiring } from './release.ts';

export type RetireDeps = {
  readonly db: Kysely<DB>;
  readonly oauth: Pick<ZoomOauth, 'revoke'>;
  readonly clients: ClientSecrets;
  readonly times: RefreshTimes;
  readonly accessToken: (grantId: string, options: AccessTokenOptions) => Promise<AccessTokenResult>;
  readonly onEvent: OnGrantEvent;
  readonly onCrashPoint: OnCrashPoint;
};

/** done: secrets are gone, or the grant is in use again. later: call again; the schedule does. */
export type Retired =
  | { readonly kind: 'done'; readonly outcome: RevokeOutcome | null }
  | { readonly kind: 'later'; readonly why: string };

/** Enough for one request: nobody needs the token afterwards. */
const minLeftMs = 60_000;
const patienceMs = 35_000;

/** Revokes a retiring grant at Zoom, then deletes its secrets (lifecycle §4). Safe to call any number of times. */
export function createRetire(deps: RetireDeps) {
  const { db, oauth, clients, times, accessToken, onEvent, onCrashPoint } = deps;

  const review = (grantId: string): Promise<RetiringReview> =>
    db.transaction().execute((trx) => reviewRetiring(trx, grantId));

  /**
   * The refresh lease, so that nobody refreshes while the revocation is on its way, and only if the account is
   * still free: getting a token may have taken a while. Null: busy, changed, or in use by now.
   */
  async function takeLease(grantId: string, version: number): Promise<string | null> {
    const id = randomUUID();
    return await db.transaction().execute(async (trx) => {
      if ((await reviewRetiring(trx, grantId)).kind !== 'revoke') return null;
      const { numAffectedRows } = await sql`
        update steward.grants set lease_token = ${id}, lease_until = steward.now() + ${times.leaseMs} * interval '1 millisecond'
         where id = ${grantId} and version = ${version} and coalesce(lease_until <= steward.now(), true)`.execute(trx);
      return numAffectedRows === 1n ? id : null;
    });
  }

  async function finish(grantId: string, version: number, outcome: RevokeOutcome): Promise<Retired> {
    const done = await db.transaction().execute(async (trx) => {
      const grant = await lockGrant(trx, grantId);
      // A consent that came meanwhile brought a pair of its own: it is not ours to delete.
      if (grant?.state !== 'retiring' || grant.version !== version) return false;
      await deleteSecrets(trx, grantId, { ...grant, outcome, actor: 'schedule' });
      return true;
    });
    if (done) onEvent({ type: 'grant_released', grantId, outcome });
    return { kind: 'done', outcome: done ? outcome : null };
  }

  async function revoke(grantId: string, auth: Extract<AccessTokenResult, { kind: 'token' }>, clientId: string) {
    const client = clients.find(clientId);
    if (!client) return { kind: 'later', why: 'client_not_configured' } as const;
    const sinceLeased = startElapsed();
    const lease = await takeLease(grantId, auth.version);
    if (!lease) return { kind: 'later', why: 'busy' } as const;
    await onCrashPoint('revoke_leased');
    let revoked = false;
    try {
      let code = '';
      for (const secret of clients.inOrder(client)) {
        // Paused meanwhile: a consent may have come, which a revocation sent now would end as well.
        if (sinceLeased() > times.leaseMs - times.httpMs) return { kind: 'later', why: 'paused' } as const;
        const answer = await oauth.revoke(client, secret, auth.token);
        await onCrashPoint('revoke_answered');
        revoked = answer.kind === 'revoked';
        if (answer.kind !== 'application') return answer;
        code = answer.code;
      }
      // A revocation that Zoom cannot read must not stop the refreshes of every other grant.
      if (stopsTheClient(code)) await openBreaker(db, clientId, code);
      return { kind: 'later', why: 'application' } as const;
    } finally {
      // Once revoked the lease goes with the secrets: given back before, another one would revoke again.
      if (!revoked)
        await sql`update steward.grants set lease_token = null, lease_until = null
                   where id = ${grantId} and lease_token = ${lease}`.execute(db);
    }
  }

  return async function retire(grantId: string): Promise<Retired> {
    let notVersion: number | undefined;
    // Twice at most: a refused access token says nothing about the refresh token, which may live on.
    for (let round = 0; round < 2; round += 1) {
      const reviewed = await review(grantId);
      if (reviewed.kind === 'over') {
        if (reviewed.outcome) onEvent({ type: 'grant_released', grantId, outcome: reviewed.outcome });
        return { kind: 'done', outcome: reviewed.outcome };
      }
      if (reviewed.kind === 'later') return { kind: 'later', why: 'unidentified candidate' };
      const view = await findGrantView(db, grantId);
      if (!view) return { kind: 'done', outcome: null };
      // Zoom refuses our application: asking again for each grant would only keep the breaker open.
      if (view.broken) return { kind: 'later', why: 'application' };
      const auth = await accessToken(grantId, {
        release: true,
        minLeftMs,
        patienceMs,
        ...(notVersion !== undefined && { notVersion }),
      });
      if (auth.kind === 'dead') return await finish(grantId, view.version, 'already_dead');
      if (auth.kind !== 'token')
        return { kind: 'later', why: auth.kind === 'vault_unreadable' ? auth.kind : auth.reason };
      const answer = await revoke(grantId, auth, view.clientId);
      if (answer.kind === 'revoked') return await finish(grantId, auth.version, 'revoked');
      if (answer.kind === 'later') return answer;
      if (answer.kind !== 'grant') return { kind: 'later', why: answer.kind };
      notVersion = auth.version;
    }
    return { kind: 'later', why: 'token_refused' };
  };
}
