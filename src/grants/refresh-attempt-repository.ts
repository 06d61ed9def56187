import { randomUUID } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { DB } from '../db/schema.ts';
import { beCareful } from './careful-transaction.ts';
import { type ClientPass, passClient } from './client-state-repository.ts';
import type { GrantState } from './grant-repository.ts';
import type { RefreshTimes } from './refresh-times.ts';
import { notifyGrant } from './wake.ts';

/** Why a refresh is wanted; see the column's comment. */
export type RefreshCause = 'needed' | 'token_refused' | 'second_look' | 'release';

/** A refresh that may be sent: its lease is held and its attempt is on disk. */
export type Attempt = {
  readonly id: string;
  readonly grantId: string;
  readonly version: number;
  readonly clientId: string;
  readonly sealedRefresh: string | null;
  /** an earlier attempt on this version ended unknown, or never ended */
  readonly recovery: boolean;
  /** failures in a row on this version that said nothing about the grant */
  readonly failures: number;
  /** this one probes an open application breaker */
  readonly probe: boolean;
};

export type Acquired =
  | { readonly ok: true; readonly attempt: Attempt }
  | {
      readonly ok: false;
      readonly reason: 'moved' | 'busy' | 'look_pending' | 'forced_recently' | Exclude<ClientPass, 'closed' | 'probe'>;
    };

export type AcquireRequest = {
  readonly grantId: string;
  readonly version: number;
  readonly cause: RefreshCause;
  readonly holder: string;
  readonly times: RefreshTimes;
  /** the same probe of an open breaker, with the next client secret */
  readonly probe: boolean;
};

const refreshable: readonly GrantState[] = ['living', 'suspect', 'retiring'];

/**
 * Step 1 of lifecycle §3, one synchronous transaction: takes the lease on the grant while it still has this
 * version and no earlier attempt on it can be on its way, and writes the attempt.
 */
export async function acquireAttempt(db: Kysely<DB>, request: AcquireRequest): Promise<Acquired> {
  const { grantId, version, cause, holder, times } = request;
  return await db.transaction().execute(async (trx): Promise<Acquired> => {
    await beCareful(trx);
    // The row lock is a statement of its own: the next one must see what its last holder committed.
    const grant = await trx
      .selectFrom('steward.grants')
      .select(['client_id', 'state', 'sealed_refresh'])
      .where('id', '=', grantId)
      .where('version', '=', version)
      .forUpdate()
      .executeTakeFirst();
    if (!grant || !refreshable.includes(grant.state)) return { ok: false, reason: 'moved' };
    const { rows } = await sql<{
      leased: boolean;
      onItsWay: boolean;
      looking: boolean;
      forced: boolean;
      recovery: boolean;
      failures: number;
    }>`
      select coalesce(g.lease_until > steward.now(), false) as leased,
             coalesce(g.second_look_at > steward.now(), false) as looking,
             coalesce(a.on_its_way, false) as "onItsWay", coalesce(a.recovery, false) as recovery, coalesce(a.failures, 0)::int as failures,
             exists (select from steward.refresh_attempts f
                      where f.grant_id = g.id and f.version = g.version - 1 and f.cause = 'token_refused' and f.outcome = 'rotated'
                        and f.ended_at > steward.now() - ${times.forcedEveryMs} * interval '1 millisecond') as forced
        from steward.grants g,
             lateral (select bool_or(next_at > steward.now()) as on_its_way,
                             bool_or(outcome is null or outcome = 'unknown') as recovery,
                             count(*) filter (where outcome in ('not_sent', 'unknown') or detail like 'application:%') as failures
                        from steward.refresh_attempts where grant_id = g.id and version = g.version) a
       where g.id = ${grantId}`.execute(trx);
    const state = rows[0];
    if (!state || state.leased || state.onItsWay) return { ok: false, reason: 'busy' };
    if (state.looking) return { ok: false, reason: 'look_pending' };
    if (cause === 'token_refused' && state.forced) return { ok: false, reason: 'forced_recently' };
    const pass = request.probe ? 'probe' : await passClient(trx, grant.client_id);
    if (pass === 'open' || pass === 'paused') return { ok: false, reason: pass };
    const id = randomUUID();
    await sql`
      update steward.refresh_attempts set outcome = 'unknown', ended_at = steward.now(), detail = 'abandoned'
       where grant_id = ${grantId} and outcome is null`.execute(trx);
    await sql`
      insert into steward.refresh_attempts (id, grant_id, version, holder, cause, recovery, started_at, deadline_at, next_at)
      values (${id}, ${grantId}, ${version}, ${holder}, ${cause}, ${state.recovery}, steward.now(),
              steward.now() + ${times.leaseMs} * interval '1 millisecond',
              steward.now() + ${times.leaseMs + times.marginMs} * interval '1 millisecond')`.execute(trx);
    await sql`
      update steward.grants set lease_token = ${id}, lease_until = steward.now() + ${times.leaseMs} * interval '1 millisecond'
       where id = ${grantId}`.execute(trx);
    const { recovery, failures } = state;
    return {
      ok: true,
      attempt: {
        id,
        grantId,
        version,
        clientId: grant.client_id,
        sealedRefresh: grant.sealed_refresh,
        recovery,
        failures,
        probe: pass === 'probe',
      },
    };
  });
}

/** Milliseconds the attempt's lease has left by the database clock; null if it no longer holds it on its version. */
export async function findLeaseLeftMs(db: Kysely<DB>, attempt: Attempt): Promise<number | null> {
  const { rows } = await sql<{ leftMs: number }>`
    select (extract(epoch from lease_until - steward.now()) * 1000)::float8 as "leftMs" from steward.grants
     where id = ${attempt.grantId} and version = ${attempt.version} and lease_token = ${attempt.id}`.execute(db);
  return rows[0]?.leftMs ?? null;
}

export type AttemptEnd = {
  readonly outcome: 'not_sent' | 'rotated' | 'refused' | 'unknown';
  /** class of the answer; never a token */
  readonly detail: string;
  /** when the next attempt on this version may start; null: not before deadline and margin */
  readonly nextInMs: number | null;
};

/** Writes how an attempt ended. While its request may still be on its way, the lease runs on. */
export async function endAttempt(
  db: Kysely<DB>,
  attempt: Attempt,
  { outcome, detail, nextInMs }: AttemptEnd,
): Promise<void> {
  await sql`
    with ended as (
      update steward.refresh_attempts
         set outcome = ${outcome}, detail = ${detail}, ended_at = steward.now(),
             next_at = coalesce(steward.now() + ${nextInMs}::float8 * interval '1 millisecond', next_at)
       where id = ${attempt.id})
    update steward.grants set lease_token = null, lease_until = null
     where id = ${attempt.grantId} and lease_token = ${attempt.id} and ${nextInMs !== null}`.execute(db);
  await notifyGrant(db, attempt.grantId);
}
