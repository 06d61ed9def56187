import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { TokenAnswer } from '../zoom/oauth.ts';
import { lockConnection } from './authority.ts';
import { factsOf, sealPair } from './candidate-pair.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { type ConsumedAttempt, endAttempt } from './consume-state.ts';

/** A candidate waits this long for a verdict (behaviour §3.5). */
const verdictLifetimeHours = 24;

/**
 * Stores what an exchange brought, sealed, before anything else happens; while the database is away, again and again as
 * long as the process lives. Returns the candidate's id.
 */
export async function fileCandidate(
  deps: ConnectionDeps,
  attempt: ConsumedAttempt,
  tokens: Extract<TokenAnswer, { kind: 'tokens' }>,
): Promise<string> {
  const id = randomUUID();
  const { access, refresh } = sealPair(deps, id, tokens);
  const store = (): Promise<void> =>
    deps.db.transaction().execute(async (trx) => {
      await sql`set local synchronous_commit = on`.execute(trx);
      await lockConnection(trx, attempt.connectionId);
      // A try before committed without our hearing of it.
      const filed = await trx.selectFrom('steward.candidates').select('id').where('id', '=', id).executeTakeFirst();
      if (filed) return;
      // Link revoked or organization disconnected meanwhile: the pair is kept all the same until Zoom said whose it is,
      // for it may have ended a pair that other connections live on.
      const wanted = await endAttempt(trx, attempt.id, { state: 'done', outcome: 'exchanged' });
      // Committed before anybody else is asked anything: Zoom gives these once.
      await sql`
      insert into steward.candidates
        (id, connection_id, link_id, attempt_id, state, sealed_access, sealed_refresh, token_facts, approver_is_issuer,
         expires_at, look_due_at, created_at)
      values (${id}, ${attempt.connectionId}, ${attempt.linkId}, ${attempt.id}, ${wanted ? 'exchanged' : 'cancelled'}, ${access}, ${refresh},
              ${JSON.stringify(factsOf(tokens))}::jsonb, ${attempt.byIssuer},
              steward.now() + ${verdictLifetimeHours} * interval '1 hour', steward.now() + interval '1 minute',
              steward.now())`.execute(trx);
      await insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { candidateId: id } });
    });
  await deps.grants.keep(id, store);
  return id;
}
